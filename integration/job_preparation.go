package integration

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"reprise/actor"
	"reprise/datadir"
	"reprise/fault"
	"reprise/queue"
	"reprise/training"
)

// mayPrepare reports whether one more job may be prepared.
func (b *jobBook) mayPrepare(now time.Time) bool {
	quick, all := 0, 0
	for _, j := range b.live {
		if j.cancel == nil {
			continue
		}
		all++
		if now.Sub(j.begun) < slowPreparation {
			quick++
		}
	}
	return quick < cmp.Or(b.h.config.Preparations, DefaultPreparations) && all < maxSlowPreparations
}

func (b *jobBook) prepare(j *hostedJob) {
	if b.h.config.Prepare == nil {
		return
	}
	if j.job().State() == queue.StateSubmitted && b.decide(j, queue.Prepare{}) != nil {
		return
	}
	id := j.id() // j is the book's: preparing reads nothing of it
	ctx, cancel := context.WithCancel(b.h.closing)
	j.cancel, j.begun = cancel, b.h.config.Now()
	b.h.openings.run(func() {
		defer cancel()
		events, err := b.prepareSafely(ctx, id)
		b.prepared(j, events, err)
	})
}

// prepareSafely turns a panic into an error: it is a failure of this job and of nothing
// else.
func (b *jobBook) prepareSafely(ctx context.Context, id queue.JobID) (events []training.Event, err error) {
	defer func() {
		if v := recover(); v != nil {
			events, err = nil, &actor.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	record, err := b.log.Load(ctx, id)
	if err != nil { // which says nothing about the job
		return nil, fault.As(fault.Unavailable, err)
	}
	return b.h.config.Prepare(ctx, id, record.Job.Submission())
}

// prepared takes what came of the preparation of a job.
func (b *jobBook) prepared(j *hostedJob, events []training.Event, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	j.cancel = nil
	defer func() {
		b.retire(j)
		b.announce(j)
		b.advance()
		_ = b.h.devices.Tell(replan{}) // which may have waited for it; if its mailbox is full, it plans anyway
	}()
	if b.closed || j.job().State() != queue.StatePreparing { // it was paused or cancelled meanwhile
		return
	}
	if err == nil {
		err = b.queue(j, events)
	}
	if err == nil || j.left != nil {
		return
	}
	_ = b.decide(j, afterFailedPreparation(j.job(), err, b.h.config.Restarts.Restarts))
}

// reasonOf returns what an error says as one line.
func reasonOf(err error) string {
	var lines []string
	for _, part := range fault.Parts(err) {
		lines = append(lines, oneLine(part.Error()))
	}
	return strings.Join(lines, "; ")
}

// oneLine returns a text as one line, for lists and displays: a line that begins with a
// capital letter begins another sentence.
func oneLine(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		first, _ := utf8.DecodeRuneInString(line)
		switch {
		case line == "":
			continue
		case b.Len() > 0 && unicode.IsUpper(first) && !strings.HasSuffix(b.String(), ":"):
			b.WriteString(". ")
		case b.Len() > 0:
			b.WriteByte(' ')
		}
		b.WriteString(line)
	}
	return b.String()
}

// afterFailedPreparation returns what becomes of a job whose preparation has failed. One that meets
// the same defect again and again waits that many times.
func afterFailedPreparation(j queue.Job, err error, times int) queue.Command {
	kind := fault.KindOf(err)
	if kind == fault.Internal && datadir.Remedy(err) != "" {
		kind = fault.Unavailable
	}
	cause := queue.Cause{Code: queue.Code(kind.String()), Message: reasonOf(datadir.Advise(err))}
	again := deferrals(j, cause.Code)
	switch {
	case kind == fault.Invalid:
		return queue.Reject{Cause: cause}
	case kind == fault.Internal && again >= times:
		cause.Message = fmt.Sprintf("preparing it has failed %d times in a row: %s", again+1, cause.Message)
		return queue.Reject{Cause: cause}
	}
	return queue.Defer{Cause: cause, RetryAfter: retryDelay(j, cause.Code)}
}

// deferrals returns how many times in a row a job was deferred with the code.
func deferrals(j queue.Job, code queue.Code) int {
	if j.Cause().Code != code {
		return 0
	}
	return j.Deferrals()
}

// retryDelay doubles each time that a job is deferred with the same code.
func retryDelay(j queue.Job, code queue.Code) time.Duration {
	return min(firstRetry<<min(deferrals(j, code), 20), longestRetry)
}
