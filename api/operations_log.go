package api

// The operations of LogService.
const (
	ListEvents      Stream[EventsRequest, Event]                      = "events.list"
	TailEvents      Stream[TailRequest, Event]                        = "events.tail"
	ReplayRun       Stream[ReplayRequest, ReplayStep]                 = "events.replay"
	VerifyEvents    Stream[VerifyLogRequest, Update[LogVerification]] = "events.verify"
	ShowHead        Unary[HeadRequest, LogHead]                       = "events.head"
	ExportEvents    Stream[ExportRequest, ExportPart]                 = "events.export"
	ListProjections Unary[ProjectionsRequest, ProjectionList]         = "projections.list"
	Rebuild         Unary[RebuildRequest, RebuildReport]              = "projections.rebuild"
	MakeBackup      Stream[BackupRequest, Update[BackupReport]]       = "backup"
)

func logOperations() []Operation {
	return []Operation{
		stream(ListEvents, Service.Events),
		stream(TailEvents, Service.Tail),
		stream(ReplayRun, Service.Replay),
		stream(VerifyEvents, Service.VerifyLog).upTo(maxFilesRequest),
		unary(ShowHead, Service.Head),
		stream(ExportEvents, Service.Export),
		unary(ListProjections, Service.Projections),
		unary(Rebuild, Service.RebuildProjections),
		stream(MakeBackup, Service.Backup),
	}
}
