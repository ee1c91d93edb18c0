package service

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"

	"reprise/api"
	"reprise/datadir"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/pemkey"
	"reprise/journal"
)

// VerifyLog implements api.Service.
func (s *Service) VerifyLog(ctx context.Context, q api.VerifyLogRequest) iter.Seq2[api.Update[api.LogVerification], error] {
	return updates(ctx, s.config.Now, func(ctx context.Context, progress func(done, of uint64)) (api.LogVerification, error) {
		kept, err := keptHeadOf(q)
		if err != nil {
			return api.LogVerification{}, err
		}
		return s.verifyLog(ctx, kept, progress)
	})
}

// keptHead is a head that was kept elsewhere, and the key that it was signed with; nil
// for one that is not signed.
type keptHead struct {
	eventstore.Attestation
	key ed25519.PublicKey
}

// keptHeadOf reads the head of a request, whose signature may be wrong; nil for none.
func keptHeadOf(q api.VerifyLogRequest) (*keptHead, error) {
	if q.Head == "" {
		if q.PublicKey != "" {
			return nil, &fault.FieldError{Field: "public_key", Problem: "there is nothing to check with it",
				Fix: "give the head as well", Code: string(api.HeadMissing)}
		}
		return nil, nil
	}
	refused := func(code api.Code, problem, fix string) error {
		return &fault.FieldError{Field: "head", Problem: problem, Fix: fix, Code: string(code)}
	}
	read, err := eventstore.ParseAttestation([]byte(q.Head))
	if err != nil {
		return nil, refused(api.NotHead, fmt.Sprintf("is not a head: %v", err), "give one that was kept, as it was written")
	}
	switch signed := read.Signature != nil; {
	case signed && q.PublicKey == "":
		return nil, refused(api.KeyMissing, "is signed", "give the public key to check it with")
	case !signed && q.PublicKey != "":
		return nil, refused(api.HeadUnsigned, "is not signed", "leave out the public key, or sign the next one")
	case !signed:
		return &keptHead{Attestation: read}, nil
	}
	key, err := pemkey.Public("public_key", []byte(q.PublicKey))
	return &keptHead{read, key}, err
}

// verifyLog returns what is wrong with the log; an error means that there is no verdict.
func (s *Service) verifyLog(ctx context.Context, kept *keptHead, progress func(done, of uint64)) (answer api.LogVerification, err error) {
	log, err := s.openLog(ctx) // the verdict says what the files show
	if err != nil {
		return found(answer, err)
	}
	defer log.close()
	end, _ := log.Head(ctx) // VerifyLog says what is wrong with it
	report, err := journal.VerifyLog(ctx, watchedLog{log.Store, end.Position, progress})
	verdict := &answer.Verdict
	verdict.Events, verdict.HeadHash = report.Head.Position, report.Head.Hash
	verdict.Runs, verdict.Devices = report.Runs, report.Devices
	verdict.Verified = err == nil
	if err != nil {
		return found(answer, err)
	}
	var older *datadir.OlderLogError
	if errors.As(log.Compared, &older) {
		verdict.Verified, verdict.Problem = false, &api.LogProblem{What: older.Error()}
		return answer, nil
	} else if log.Compared != nil {
		return found(answer, log.Compared)
	}
	if kept == nil {
		return answer, nil
	}
	verdict.Head = &kept.Attestation
	if kept.key != nil {
		err = kept.CheckSignature(kept.key)
	}
	if err == nil {
		err = kept.Check(ctx, log, report.Head)
	}
	if errors.Is(err, eventstore.ErrBadSignature) || errors.Is(err, eventstore.ErrNotContained) {
		verdict.Verified, verdict.Problem = false, &api.LogProblem{What: "the head that was kept: " + err.Error()}
		err = nil
	}
	return answer, err
}

// found adds to a verification that err says what is wrong with the log. It returns err
// if it says something else.
func found(answer api.LogVerification, err error) (api.LogVerification, error) {
	var bad *eventstore.CorruptionError
	var contradiction *journal.ContradictionError
	switch {
	case errors.As(err, &bad):
		answer.Verdict.Problem = &api.LogProblem{Position: bad.Position, Aggregate: bad.Aggregate, Version: bad.Version, What: bad.What}
		answer.CorruptLog = bad.Path
	case errors.As(err, &contradiction):
		answer.Verdict.Problem = &api.LogProblem{Position: contradiction.Position, Aggregate: contradiction.Aggregate,
			Version: contradiction.Version, Type: contradiction.Type, What: contradiction.What, Derived: contradiction.Derived}
	default:
		return answer, err
	}
	return answer, nil
}

// watchedLog is a log that tells how much of it was read.
type watchedLog struct {
	eventstore.Store
	end      eventstore.Position
	progress func(done, of uint64)
}

// Read implements eventstore.Store.
func (l watchedLog) Read(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	page, err := l.Store.Read(ctx, after, limit)
	if n := len(page); n > 0 && l.end > 0 {
		l.progress(uint64(min(page[n-1].Position, l.end)), uint64(l.end))
	}
	return page, err
}
