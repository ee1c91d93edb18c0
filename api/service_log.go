package api

import (
	"context"
	"iter"
)

// LogService is about the event log, and the data directory that it is the heart of.
type LogService interface {
	// Events gives the events of a run and of its job in the order of the log.
	Events(ctx context.Context, r EventsRequest) iter.Seq2[Event, error]
	// Tail gives the newest events of the log and, on request, every new one as it
	// becomes durable, until ctx ends. None is left out, and none comes twice.
	Tail(ctx context.Context, r TailRequest) iter.Seq2[Event, error]
	// Replay gives the events of a run, each with the state that it leads to.
	Replay(ctx context.Context, r ReplayRequest) iter.Seq2[ReplayStep, error]
	// VerifyLog checks the whole log. What it finds is in the answer: an error means
	// that there is no verdict.
	VerifyLog(ctx context.Context, r VerifyLogRequest) iter.Seq2[Update[LogVerification], error]
	// Head verifies the hash chain of the log and says where it ends.
	Head(ctx context.Context, r HeadRequest) (LogHead, error)
	// Export gives the log, as it is at one moment, in the format of
	// docs/event-format.md.
	Export(ctx context.Context, r ExportRequest) iter.Seq2[ExportPart, error]
	// Projections lists the read models that are kept beside the log.
	Projections(ctx context.Context, r ProjectionsRequest) (ProjectionList, error)
	// RebuildProjections folds read models again from the whole log.
	RebuildProjections(ctx context.Context, r RebuildRequest) (RebuildReport, error)
	// Backup copies the data directory, as it is at one moment, to a new folder of the
	// machine that the service runs on. It leaves nothing there if it fails.
	Backup(ctx context.Context, r BackupRequest) iter.Seq2[Update[BackupReport], error]
}
