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
		stream(ListEvents, Service.Events).reading(),
		stream(TailEvents, Service.Tail).reading(),
		stream(ReplayRun, Service.Replay).reading(),
		stream(VerifyEvents, Service.VerifyLog).upTo(maxFilesRequest).reading(),
		unary(ShowHead, Service.Head).reading(),
		stream(ExportEvents, Service.Export).reading(),
		unary(ListProjections, Service.Projections).reading(),
		unary(Rebuild, Service.RebuildProjections),
		stream(MakeBackup, Service.Backup).reading(),
	}
}
