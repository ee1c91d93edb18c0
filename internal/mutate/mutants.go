package mutate

import "slices"

// The tests that are run on mutants.
func simulation() []string {
	return []string{"./integration", "-run", "^TestSimulatedHistories$", "-histories", "600"}
}

func tests(arguments ...string) []string { return arguments }

// Exempt returns the files whose syncs need no mutant, and why.
func Exempt() map[string]string {
	return map[string]string{
		"dataset/fetch.go":       "a cached download is checked against its hash whenever it is opened, and fetched again if it is damaged",
		"internal/disk/disktest": "a disk to test on is not part of the product",
		"eventstore/storetest":   "a contract suite is not part of the product",
		"device/devicetest":      "a contract suite is not part of the product",
	}
}

// Mutants returns all of them.
func Mutants() []Mutant {
	return slices.Concat(syncs(), leases(), compensations(), writers(), records(), comparisons(), recomputations(), removals(), names(), jobs())
}

// jobs are the mutants that break what jobs are promised.
func jobs() []Mutant {
	recovery := tests("./integration", "-run", "^TestAProcessThatDiesAtAnyEventOfAJob|^TestAJobRunsAfterOthers$")
	return []Mutant{
		{"a run asks for its device before its data are open", "integration/run_actor.go", "		if a.data == nil { // first, since a device must not wait for data\n", "		if false {\n", tests("./integration", "-run", "^TestASlowDataSet")},
		{"a job that is stopped trains on", "integration/job_book.go", "		run.interrupt(cause, b.h.config.Now())\n", "", tests("./integration", "-run", "^TestAJobThatHasRunForIts|^TestAJobIsCancelled", "-timeout", "3m")},
		{"the end of a job is not followed", "integration/job_book.go", "		b.follow(j.id(), state)\n", "", tests("./integration", "-run", "^TestAJobRunsAfterOthers$", "-timeout", "3m")},
		{"recovery leaves jobs that had devices", "integration/recover_jobs.go", "		return []queue.Command{queue.Defer{Cause: cause, Ran: ran}}, nil\n	case end == queue.StateFailed", "		return nil, nil\n	case end == queue.StateFailed", recovery},
	}
}

// syncs are the mutants that leave out a sync.
func syncs() []Mutant {
	checkpoint := tests("./checkpoint", "-run", "^TestALossOfPower|^TestACommittedCheckpoint|^TestWhatSweepDid")
	store := tests("./eventstore/sqlite", "-run", "^TestEveryConnection|^TestWhatGets")
	log := tests("./eventstore/sqlite", "-run", "^TestAnAcknowledgedAppend|^TestALogFile")
	earlier := tests("./eventstore/sqlite", "-run", "^TestWhatAnEarlierProcess")
	return []Mutant{
		{"a checkpoint's file is not synced", "checkpoint/write.go", "		err = f.Sync()\n", "		err = nil\n", checkpoint},
		{"the names in a checkpoint's folder are not synced", "checkpoint/write.go", "	return ref, files.SyncDir(part)\n", "	return ref, nil\n", checkpoint},
		{"a checkpoint's name is not synced", "checkpoint/write.go", "	return files.SyncDir(dir)\n", "	return nil\n", checkpoint},
		{"a checkpoint that is set aside is not synced", "checkpoint/write.go", "	err := files.SyncDir(dir)\n	if err == nil {", "	var err error\n	if err == nil {", checkpoint},
		{"a checkpoint that replaces another is not synced", "checkpoint/write.go", "	if err := files.SyncDir(dir); err != nil {\n		return err\n	}\n	return discard(files, dir, name)\n", "	return discard(files, dir, name)\n", checkpoint},
		{"what Sweep did is not synced", "checkpoint/sweep.go", "failures = append(failures, files.SyncDir(dir))", "failures = append(failures, nil)", checkpoint},
		{"the mark of a checkpoint is not synced", "checkpoint/mark.go", "		err = files.SyncDir(path)\n", "		_ = files\n", tests("./checkpoint", "-run", "^TestAMarkSurvives")},
		{"the name of initial weights is not synced", "checkpoint/initial.go", "	return files.SyncDir(dir)\n", "	return nil\n", tests("./checkpoint", "-run", "^TestTheNameOfInitialWeights")},
		{"the folders of checkpoints are not synced", "checkpoint/files.go", "{ return f.disk.SyncDir(path) }", "{ return nil }", simulation()},
		{"a folder of the operating system is not synced", "internal/disk/disk.go", "errors.Join(d.Sync(), d.Close())", "errors.Join(nil, d.Close())", tests("./internal/disk")},
		{"a file that is written whole is not synced", "internal/disk/disk.go", "		err = file.Sync()\n", "		err = nil\n", tests("./internal/disk")},
		{"a folder within another is not synced", "internal/disk/within.go", "errors.Join(d.Sync(), d.Close())", "errors.Join(nil, d.Close())", tests("./internal/disk")},
		{"the names in a folder that is published are not synced", "internal/disk/disk.go", "		if err := f.SyncDir(part); err != nil {\n			return err\n		}\n", "", tests("./internal/disk")},
		{"the name of what is published is not synced", "internal/disk/disk.go", "	if err := RenameNew(f, part, name); err != nil {\n		return err\n	}\n	return f.SyncDir(filepath.Dir(name))\n", "	return RenameNew(f, part, name)\n", tests("./internal/disk")},
		{"a folder's own name is not synced", "internal/disk/disk.go", "	return f.SyncDir(parent)\n", "	return nil\n", simulation()},
		{"a run's folders are made without their names being synced", "datadir/workspace.go", "	if err := disk.MkdirAll(disk.Or(w.Disk), w.RunsDir(), 0o755); err != nil {\n		return err\n	}\n	for _, folder := range []string{w.RunDir(id), w.CheckpointsDir(id)} {", "	for _, folder := range []string{w.CheckpointsDir(id)} {", simulation()},
		{"the name of the step series is not synced", "internal/stepseries/stepseries.go", "	if err := disk.Or(s.Disk).SyncDir(filepath.Dir(s.Path)); err != nil {\n		return nil, errors.Join(err, f.Close())\n	}\n", "	_ = filepath.Dir\n", tests("./internal/stepseries", "-run", "^TestCommittedRecordsSurvive")},
		{"the step series is not synced", "internal/stepseries/stepseries.go", "	if err := w.file.Sync(); err != nil {\n		return Digest{}, err\n	}\n", "", simulation()},
		{"the event log does not sync", "eventstore/sqlite/sqlite.go", `"PRAGMA synchronous = "+synchronous+"`, `"PRAGMA synchronous = "+synchronous+"; PRAGMA synchronous = OFF`, store},
		{"the event log syncs only now and then", "eventstore/sqlite/sqlite.go", `synchronous := "FULL"`, `synchronous := "NORMAL"`, store},
		{"the name of a new event log is not synced", "eventstore/sqlite/file.go", "	return s.disk.SyncDir(filepath.Dir(s.path))\n", "	_ = filepath.Dir\n	return nil\n", store},
		{"the name of an event log that was found is not synced", "eventstore/sqlite/file.go", "	if err := s.disk.SyncDir(filepath.Dir(s.path)); err != nil {\n		return err\n	}\n", "", earlier},
		{"a write-ahead log that was found is not synced", "eventstore/sqlite/file.go", "		err = log.Sync()\n", "		err = nil\n", tests("./eventstore/sqlite", "-run", "^TestWhatGetsLeftByAProcess")},
		{"a write-ahead log that was found is not written again", "eventstore/sqlite/file.go", "		err = rewrite(log)\n", "		_ = rewrite\n", earlier},
		{"the write-ahead log is not synced", "eventstore/sqlite/logfile.go", "	return f.File.Sync(flags)\n", "	return nil\n", log},
		{"a file that records its errors does not sync", "eventstore/sqlite/oserror.go", "f.last.met(f.systemFile.Sync(flags))", "f.last.met(nil)", log},
		{"the end of a commit is not written before the sync", "eventstore/sqlite/logfile.go", "	if err := f.flush(); err != nil {\n		return err\n	}\n	if f.end > f.size {", "	if f.end > f.size {", log},
		{"the end of a commit is not written", "eventstore/sqlite/logfile.go", "	ends := f.commit\n", "	ends := false\n", log},
		{"a backup is not synced", "eventstore/sqlite/backup.go", "errors.Join(f.Sync(), f.Close())", "errors.Join(nil, f.Close())", store},
		{"the name of a backup is not synced", "eventstore/sqlite/backup.go", "	return files.SyncDir(filepath.Dir(path))\n", "	_ = filepath.Dir\n	return nil\n", store},
	}
}

// leases are the mutants that leave out a check of a lease, or of its validity.
func leases() []Mutant {
	device := tests("./device")
	return []Mutant{
		{"memory is allocated under any lease", "device/driver.go", "	if err := f.check(); err != nil {\n		return nil, fmt.Errorf(\"allocate %d elements: %w\", elements, err)\n	}\n", "", device},
		{"a program is prepared under any lease", "device/driver.go", "	if err := f.check(); err != nil {\n		return nil, fmt.Errorf(\"prepare %q: %w\", p.Name, err)\n	}\n", "", device},
		{"memory is written under any lease", "device/driver.go", "	if err := m.fence.check(); err != nil {\n		return fmt.Errorf(\"write memory: %w\", err)\n	}\n	return m.memory.Write(dst, src)", "	return m.memory.Write(dst, src)", device},
		{"integers are written under any lease", "device/driver.go", "	if err := m.fence.check(); err != nil {\n		return fmt.Errorf(\"write memory: %w\", err)\n	}\n	return m.memory.WriteInts(dst, src)", "	return m.memory.WriteInts(dst, src)", device},
		{"memory is read under any lease", "device/driver.go", "	if err := m.fence.check(); err != nil {\n		return fmt.Errorf(\"read memory: %w\", err)\n	}\n", "", device},
		{"a program runs under any lease", "device/driver.go", "	if err := x.check(); err != nil {\n		return fmt.Errorf(\"run %q: %w\", x.name, err)\n	}\n", "", device},
		{"memory of another lease may be used", "device/driver.go", "if !ok || mine.fence != f {", "if !ok {", device},
		{"a guard without a ledger lets all pass", "device/lease.go", "	return &StaleLeaseError{Lease: l, Why: \"belongs to a device without a ledger\"}\n", "	return nil\n", device},
		{"a lease of another device passes", "device/ledger.go", "	if lease.Device != l.device.ID() {\n", "	if false {\n", device},
		{"any lease of the same id passes", "device/ledger.go", "	case ok && held == lease:\n		return nil\n", "	case ok:\n		return nil\n", device},
		{"a released lease passes", "device/ledger.go", "	return &StaleLeaseError{Lease: lease, Newest: l.epoch, Why: \"has been released\"}\n", "	return nil\n", device},
		{"a lease that was never granted passes", "device/ledger.go", "	case lease.Epoch == 0 || lease.Epoch > l.epoch:\n		return &StaleLeaseError{Lease: lease, Newest: l.epoch, Why: \"was never granted\"}\n	}\n	return &StaleLeaseError", "	case lease.Epoch == 0 || lease.Epoch > l.epoch:\n		return nil\n	}\n	return &StaleLeaseError", device},
		{"a lease is released by its id alone", "device/ledger.go", "	case ok && held == lease:\n		return []Event{", "	case ok:\n		return []Event{", device},
		{"a lease that was never granted can be released", "device/ledger.go", "		return nil, &StaleLeaseError{Lease: lease, Newest: l.epoch, Why: \"was never granted\"}\n", "		return nil, nil\n", device},
		{"a lease id is used twice", "device/ledger.go", "		case held.ID == id:\n", "		case false:\n", device},
		{"a holder keeps its old lease along with the new one", "device/ledger.go", "			events, after = append(events, e), after.Apply(e)\n", "			_ = e\n", device},
		{"a new lease has the epoch of the last one", "device/ledger.go", "Epoch: l.epoch + 1", "Epoch: l.epoch", device},
		{"a device is leased to more than it has slots for", "device/device.go", "	if !w.Shared && len(d.exclusive) >= d.d.Slots {\n", "	if false {\n", device},
		{"an unhealthy device is leased", "device/device.go", "	if d.d.Health == Unhealthy {\n", "	if false {\n", device},
		{"an unhealthy device keeps its leases", "device/ledger.go", "		events = l.ReleaseAll(\"device unhealthy: \" + note)\n", "", device},
		{"replay accepts a lease of another device", "device/ledger_apply.go", "	case lease.Device != l.device.ID():\n		return \"does not belong", "	case false:\n		return \"does not belong", device},
		{"replay accepts an old epoch", "device/ledger_apply.go", "	case lease.Epoch <= l.epoch:\n", "	case false:\n", device},
		{"replay accepts more leases than slots", "device/ledger_apply.go", "	case !lease.Shared && len(device.exclusive) >= device.Slots():\n", "	case false:\n", device},
		{"replay accepts a lease of an unhealthy device", "device/ledger_apply.go", "	case device.d.Health == Unhealthy:\n", "	case false:\n", device},
		{"replay accepts two leases of a holder", "device/ledger_apply.go", "if held.ID == lease.ID || held.Holder == lease.Holder {", "if held.ID == lease.ID {", device},
		{"replay accepts the release of what is not held", "device/ledger_apply.go", "			return no(\"%v is not in force\", e.Lease)\n", "			return l, nil\n", device},
		{"the pool's fence lets all pass", "integration/device_pool.go", "func() error { return guard.Check(lease) })", "func() error { _ = guard; return nil })", simulation()},
		{"guards are not told of new leases", "integration/device_pool.go", "	p.guards[r.ID].Publish(r.Ledger)\n", "", simulation()},
		{"a restarted run keeps what it held before", "integration/device_pool.go", "	if err := p.releaseHolder(ctx, m.Holder, \"superseded by a restart of the run\"); err != nil {\n		return err\n	}\n", "", simulation()},
		{"a run at rest keeps its lease", "integration/device_pool.go", "	err := p.releaseHolder(ctx.Context(), m.Holder, gone)\n", "	var err error\n", simulation()},
		{"a host that is closed keeps its leases", "integration/device_pool.go", "			_ = p.append(ctx.Context(), id, events)\n", "			_ = events\n", simulation()},
		{"the pool does not check the devices' condition", "integration/device_pool.go", "	if err := p.examine(ctx); err != nil {\n		return err\n	}\n", "", simulation()},
		{"a release ends every lease of the device", "integration/device_pool.go", "			continue\n		}\n		events, err := record.Ledger.Release", "		}\n		events, err := record.Ledger.Release", simulation()},
		{"an answer to an earlier question is accepted", "integration/run_actor.go", "	if request == 0 || request != a.request {\n", "	if request == 0 {\n", tests("./integration", "-run", "^TestAnAnswerToAnEarlierQuestionIsDropped$")},
		{"a step of an earlier execution is accepted", "integration/run_actor.go", "		if m.of != a.exec {\n", "		if false {\n", tests("./integration", "-run", "^TestAStepOfAnEarlierExecutionIsDropped$")},
		{"recovery leaves leases", "integration/recover.go", "		if _, err := devices.Append(ctx, d, events...); err != nil {\n			return recovery, err\n		}\n", "", simulation()},
	}
}

// compensations are the mutants that leave out a step of what a failure, an
// interruption or the end of a run has to undo.
func compensations() []Mutant {
	training := tests("./training")
	recovering := tests("./integration", "-run", "^TestRecoveringFromProjectionsEqualsRecoveringFromTheLog$")
	return []Mutant{
		{"a saga does not release its devices", "training/saga.go", "		commands = append(commands, ReleaseDevice{Allocation: a})\n", "		_ = a\n", training},
		{"a saga does not unload its data", "training/saga.go", "		commands = append(commands, UnloadDataset{Dataset: d})\n", "		_ = d\n", training},
		{"a saga fails before it has released all", "training/saga.go", "		if held := s.releases(); len(held) > 0 {\n			return held\n		}\n", "", training},
		{"a saga that compensates never fails", "training/saga.go", "		return []Command{FailRun{Reason: c.Reason}}\n", "		return nil\n", training},
		{"a failure is recorded while something is held", "training/saga.go", "if e, ok := event.(RunFailed); ok && len(s.releases()) == 0 {", "if e, ok := event.(RunFailed); ok {", training},
		{"a run resumes while it still holds what it held before", "training/saga.go", "if !c.Paused || len(s.releases()) > 0 || e.FromStep", "if !c.Paused || e.FromStep", training},
		{"a released device is still on record as held", "training/saga.go", "return a == e.Allocation })\n", "return false })\n", training},
		{"unloaded data is still on record as held", "training/saga.go", "return d == e.Dataset })\n", "return false })\n", training},
		{"a failed allocation does not compensate", "training/saga.go", "			return s.unexpected(event)\n		}\n		s.compensate(e.Reason)\n		return nil\n	default:\n		return s.unexpected(event)\n	}\n}\n\nfunc (s *TrainingSaga) handlePreparing", "			return s.unexpected(event)\n		}\n		return nil\n	default:\n		return s.unexpected(event)\n	}\n}\n\nfunc (s *TrainingSaga) handlePreparing", training},
		{"a failed loading does not compensate", "training/saga.go", "		s.compensate(e.Reason)\n		return nil\n	case ModelInitialized:", "		return nil\n	case ModelInitialized:", training},
		{"a failed initialisation does not compensate", "training/saga.go", "		if s.State != InitializingModel {\n			return s.unexpected(event)\n		}\n		s.compensate(e.Reason)\n", "		if s.State != InitializingModel {\n			return s.unexpected(event)\n		}\n", training},
		{"a failed training does not compensate", "training/saga.go", "		s.compensate(e.Reason)\n		return nil\n	case Remark:", "		return nil\n	case Remark:", training},
		{"a closing host does not wait for its runs", "integration/host.go", "		h.parts.await(ctx, run.done)\n", "		_, _ = ctx, run\n", simulation()},
		{"a run releases no device", "integration/run_actor.go", "			return actor.Send[deviceMessage](ctx, a.devices, releaseDevice{Request: request, Holder: runHolder(a.id), Allocation: c.Allocation, Answer: toRun(ctx.Self())})\n", "			return ctx.Self().Tell(leaseReleased{Request: request, Allocation: c.Allocation})\n", simulation()},
		{"a run unloads no data", "integration/run_actor.go", "			return actor.Send[datasetMessage](ctx, a.datasets, unloadDataset{Request: request, Run: a.id, Dataset: c.Dataset, ReplyTo: ctx.Self()})\n", "			return ctx.Self().Tell(datasetUnloaded{Request: request, Dataset: c.Dataset})\n", simulation()},
		{"a run keeps its memory on a device that it releases", "integration/run_actor.go", "	case training.ReleaseDevice:\n		a.closeExecution()\n", "	case training.ReleaseDevice:\n", simulation()},
		{"a run that ends keeps its memory", "integration/run_actor.go", "	a.closeExecution()\n	if cause != nil {", "	if cause != nil {", simulation()},
		{"the cache keeps what is unloaded", "integration/dataset_cache.go", "				c.unload(key, held, m.Run)\n", "				_ = held\n", simulation()},
		{"the cache does not forget a run", "integration/dataset_cache.go", "		for key, held := range c.entries {\n			c.unload(key, held, m.Run)\n		}\n", "", simulation()},
		{"the pool is not told of a run at rest", "integration/host.go", "	_ = h.waiting.forget(h.devices, runHolder(id))\n", "", simulation()},
		{"the cache is not told of a run at rest", "integration/host.go", "	_ = h.lateData.tell(h.datasets, forgetRun{Run: id}, deliverLate{})\n", "", simulation()},
		{"a run that was given up on is not marked as failed", "integration/host.go", "	case launched == run:\n", "	case false:\n", simulation()},
		{"recovery interrupts nothing", "integration/recover.go", "	if saga.UnderWay() {\n		if err := record", "	if false {\n		if err := record", simulation()},
		{"recovery releases no devices", "integration/recover.go", "			event = training.DeviceReleased{Allocation: c.Allocation}\n", "			return events, nil\n", simulation()},
		{"recovery unloads no data", "integration/recover.go", "			event = training.DatasetUnloaded{Dataset: c.Dataset}\n", "			return events, nil\n", simulation()},
		{"recovery does not fail what was compensating", "integration/recover.go", "			event = training.RunFailed{Reason: c.Reason}\n", "			return events, nil\n", simulation()},
		{"recovery leaves sagas", "integration/recover.go", "	next, err := runs.Append(ctx, r, events...)\n	if err != nil {\n		return err\n	}\n", "	next := r\n", simulation()},
		{"recovery looks only at runs under way", "integration/recover.go", "if r.Saga == nil || atRest(*r.Saga) || !belongsTo(worker, *r.Saga) {", "if r.Saga == nil || !r.Saga.UnderWay() {", recovering},
		{"the list of runs forgets what an ended run holds", "journal/run_summary.go", "if ended && len(saga.Commands()) == 0 {", "if ended {", recovering},
		{"a restarted actor does not interrupt its run", "integration/run_actor.go", "	if cause := a.lastFailure(); a.record.Saga.UnderWay() && (cause != \"\" || a.record.Saga.Begun()) {\n", "	if cause := a.lastFailure(); cause != \"\" && false {\n", simulation()},
		{"a condition that may pass restarts the run", "integration/obstacle.go", "	case datadir.IsAdvised(err), errors.As(err, new(*loop.FilesError)), datadir.Remedy(err) != \"\":\n", "	case errors.As(err, new(*loop.FilesError)) && datadir.Remedy(err) == \"\":\n", simulation()},
		{"a condition that may pass elsewhere fails the run", "integration/obstacle.go", "	case isPermanent(err):\n", "	case isPermanent(err), elsewhere(err) != \"\":\n", tests("./integration", "-run", "^TestAnEpochThatComesOutDifferently")},
		{"a log that cannot be written restarts the run", "integration/obstacle.go", "	case errors.As(err, new(*logError)):\n", "	case err == nil:\n", simulation()},
		{"a refusal by the devices restarts the run", "datadir/remedy.go", "			if e.Transient() {\n", "			if e != nil {\n				return \"\"\n			}\n			if e.Transient() {\n", simulation()},
		{"a run that met a condition that may pass fails for good", "integration/host.go", "failed: !run.mayPass.Load() && run.stopping.Load() == nil}\n", "failed: true}\n", simulation()},
		{"a run that always panics can be resumed", "integration/host.go", "failed: !run.mayPass.Load() && run.stopping.Load() == nil}\n", "failed: false}\n", tests("./integration", "-run", "^TestARunThatKeepsPanickingFailsAndAffectsNothingElse$")},
		{"an interrupted run fails because a release fails", "integration/host.go", "run.mayPass.Load() && run.stopping.Load() == nil}\n", "run.mayPass.Load()}\n", tests("./integration", "-run", "^TestAnInterruptionOutlivesAFailureToGiveBack$")},
		{"an interruption is forgotten by a restarted actor", "integration/host.go", "return &runActor{runDeps: deps} },\n", "deps.stopping = new(atomic.Pointer[string]); return &runActor{runDeps: deps} },\n", tests("./integration", "-run", "^TestAnInterruptionOutlivesAFailureToGiveBack$")},
	}
}

// writers are the mutants that let a second writer, or a repetition, pass.
func writers() []Mutant {
	stores := tests("./eventstore/...", "-run", "^TestContract|^TestAfterAFailed|Fail")
	logs := tests("./integration", "-run", "^TestASecondWriter")
	return []Mutant{
		{"events are appended at any version", "journal/aggregate.go", "Expected: eventstore.Exactly(x.Version)", "Expected: eventstore.AnyVersion()", logs},
		{"any version is the expected one", "eventstore/store.go", "return x.any || x.version == v }", "return true }", stores},
		{"the durable store does not compare versions", "eventstore/sqlite/writer.go", "		if !write.Expected.Allows(version) {\n", "		if false {\n", stores},
		{"the store in memory does not compare versions", "eventstore/memory/memory.go", "		if !w.Expected.Allows(version) {\n", "		if false {\n", stores},
		{"the durable store does not recognise a repetition", "eventstore/sqlite/writer.go", "	if stored, err := w.repeated(r.writes); stored != nil || err != nil {\n		return stored, err\n	}\n", "", stores},
		{"the store in memory does not recognise a repetition", "eventstore/memory/memory.go", "	if stored, err := s.repeated(writes); stored != nil || err != nil {\n		return stored, err\n	}\n", "", stores},
		{"the durable store continues after a failed commit", "eventstore/sqlite/writer.go", "	err := w.failed\n", "	var err error\n", stores},
	}
}

// records are the mutants that let a record go back, or differ from itself.
func records() []Mutant {
	training := tests("./training")
	return []Mutant{
		{"checkpoints may go back", "training/run.go", "if behind || (cp.Epoch == last.Epoch && cp.Step == last.Step) {", "if false && behind {", training},
		{"checkpoints may belong to another session", "training/run.go", "	if cp.SessionID != r.Session.ID {\n", "	if false {\n", training},
		{"a saga accepts a checkpoint that goes back", "training/saga.go", "if cp.Epoch != c.Epoch || cp.Step <= c.CheckpointStep {", "if cp.Epoch != c.Epoch {", training},
		{"a run resumes from anywhere", "training/saga.go", "if s.State != InitializingModel || e.Step != s.Context.CheckpointStep {", "if s.State != InitializingModel {", training},
		{"a checkpoint is recorded that could not be written", "integration/run_actor.go", "	ref, err := a.workspace.Checkpoints(a.id).WritePending(content, datadir.PendingOf(a.record))\n	if err != nil {\n		return none, err\n	}\n", "	ref, err := a.workspace.Checkpoints(a.id).WritePending(content, datadir.PendingOf(a.record))\n	_ = err\n", simulation()},
		{"the series is not committed before the checkpoint", "integration/run_actor.go", "	series, err := a.series.Commit()\n	if err != nil {\n		return none, err\n	}\n", "	var series stepseries.Digest\n", simulation()},
		{"a run starts over instead of at its checkpoint", "integration/run_actor.go", "	if last, ok := a.record.LastCheckpoint(); ok {\n		content, err", "	if last, ok := a.record.LastCheckpoint(); ok && false {\n		content, err", simulation()},
		{"a fork starts over instead of at its parent's checkpoint", "training/loop/execution.go", "	if parent == nil {\n		taken,", "	if parent == nil || true {\n		taken,", simulation()},
		{"a fork's series begins without its parent's", "integration/run_actor.go", "	if err := a.workspace.Series(a.id).Copy(a.workspace.Series(parent.RunID), pinned); err != nil {\n		return pinned, &loop.FilesError{Err: err}\n	}\n", "", simulation()},
		{"a closed host leaves the projections out of date", "integration/host.go", "errors.Join(err, journal.CatchUpProjections(context.Background(), h.config.Store))", "err", simulation()},
	}
}

// forgeries are the tests of cmd that forge something, and expect it to be found.
func forgeries(name string) []string { return tests("./cmd/reprise", "-run", "^"+name) }

// comparisons are the mutants that leave out what verify compares in and
// outside the log.
func comparisons() []Mutant {
	fields, heads := forgeries("TestVerifyFindsEachForgedField"), forgeries("TestASignedHead|^TestAHeadIs")
	return []Mutant{
		{"the ids of events are not compared", "journal/audit.go", "checkEnvelope(e, before); what != \"\" {", "checkEnvelope(e, before); what != \"\" && false {", forgeries("TestVerifyFindsForgedIDs")},
		{"the form of payloads is not compared", "journal/audit.go", "checkPayload(e, event); what != \"\" {", "checkPayload(e, event); what != \"\" && false {", forgeries("TestVerifyFindsAPayload")},
		{"a fork's parent is not compared", "journal/audit.go", "a.checkParent(e); what != \"\" {", "a.checkParent(e); what != \"\" && false {", fields},
		{"a lease that no device granted is accepted", "journal/audit.go", "		lease, ok := a.leases[keyOf(e.Allocation)]\n		if !ok {\n", "		lease, ok := a.leases[keyOf(e.Allocation)]\n		if !ok {\n			return \"\"\n		}\n		if !ok {\n", forgeries("TestVerifyFindsALease")},
		{"a lease of another run is accepted", "journal/audit.go", "		if lease.holder != HolderOf(id) {\n", "		if false {\n", forgeries("TestVerifyFindsALease")},
		{"a run releases a lease that its device still counts", "journal/audit.go", "ok && !lease.ended {", "ok && !lease.ended && false {", forgeries("TestVerifyFindsALease")},
		{"values with several permitted outcomes are not compared", "journal/audit.go", "checkTransition(before, e); what != \"\" {", "checkTransition(before, e); what != \"\" && false {", forgeries("TestVerifyFindsEachMissing")},
		{"what follows from earlier events is not compared", "journal/audit.go", "	return Difference(e, follows(before, e), \"the events before it give\")\n", "	return \"\"\n", fields},
		{"read models are not compared", "journal/audit_stored.go", "		if !bytes.Equal(was, is) {\n", "		if false && !bytes.Equal(was, is) {\n", forgeries("TestVerifyFindsAForgedReadModel")},
		{"snapshots are not compared", "journal/audit.go", "		return check(r.auditSnapshot(ctx, store, name))\n", "		return nil\n", forgeries("TestVerifyFindsAForgedSnapshot")},
		{"listings of a short log trust what is stored", "journal/projection.go", "	return eventsOnly{store}, nil\n", "	_ = eventsOnly{}\n	return store, nil\n", forgeries("TestVerifyFindsAForgedReadModel")},
		{"a head of another store is accepted", "eventstore/attestation.go", "	if first[0].Hash != a.Store {\n", "	if false {\n", heads},
		{"a head with another hash is accepted", "eventstore/attestation.go", "	if at[0].Hash != a.Head.Hash {\n", "	if false {\n", heads},
		{"the signature of a head is not checked", "service/verify_log.go", "		err = kept.CheckSignature(kept.key)\n", "		_ = kept.key\n", heads},
	}
}

// recomputations are the mutants that leave out what verify compares after
// training the run again.
func recomputations() []Mutant {
	fields, file := forgeries("TestVerifyFindsEachForgedField"), "integration/reproduction.go"
	return []Mutant{
		{"the request is not compared", "integration/verify.go", "		v.checkMeaning(&report, events, data)\n", "", fields},
		{"epochs after the last checkpoint are not trained again", "integration/verify.go", "		last = max(last, lastStep(what.Run.TrainingRun))\n", "		_ = lastStep\n", fields},
		{"initial weights are not compared", file, "			r.differ(p.name, e, training.ModelInitialized{Step: from, WeightsSHA256: sha})\n", "			_, _ = e, sha\n", fields},
		{"evaluations are not compared", file, "		}, r.run.Evaluations[i], got)\n", "		}, got, got)\n		_ = i\n", fields},
		{"an evaluation may be missing", file, "	r.report.fail(\"the evaluation at step %d is not recorded, but later steps are\", got.Step)\n", "", forgeries("TestVerifyFindsEachMissing")},
		{"epochs are not compared", file, "	}, want, got)\n	r.compareStopped", "	}, got, got)\n	_ = want\n	r.compareStopped", fields},
		{"early stopping is not compared", file, "	r.compareStopped(got.Epoch)\n", "", fields},
		{"early stopping may be missing", file, "	case due && want == nil:\n", "	case due && want == nil && false:\n", forgeries("TestVerifyFindsEachMissing")},
		{"a checkpoint's files are not compared", file, "		ManifestSHA256: ref.ManifestSHA256, WeightsSHA256", "		ManifestSHA256: recorded.ManifestSHA256, WeightsSHA256", forgeries("TestVerifyFindsWhatIsForgedInACheckpoint")},
		{"a checkpoint's loss is not compared", file, " Loss: loss,\n", " Loss: recorded.Loss + 0*loss,\n", fields},
		{"a checkpoint's series is not compared", file, "		SeriesSHA256: r.sum.Digest().SHA256,", "		SeriesSHA256: recorded.SeriesSHA256,", fields},
		{"steps are not compared", file, "	if want := r.series[got.Step-1]; !sameRecord(want, got) {\n", "	if want := r.series[got.Step-1]; false && !sameRecord(want, got) {\n", forgeries("TestVerifyFindsWhatIsForgedInASeries")},
	}
}

// removals are the mutants that remove or replace what belongs to somebody
// else, or what was committed.
func removals() []Mutant {
	sweep := tests("./checkpoint", "-run", "^TestSweepLeaves|^TestSweepMarks|^TestNothingOfAnybodyElse")
	pending := tests("./checkpoint", "-run", "^TestSweepRemovesOnly|^TestACheckpointWithoutANote|^TestWriteKeeps|^TestUndecided|^TestSweepGoesOn")
	older := tests("./integration", "-run", "^TestALogThat|^TestCopiedCheckpoints|^TestUserFilesInRuns|^TestFilesThatCannot|^TestNoInterrupted")
	return []Mutant{
		{"what was committed is swept", "checkpoint/sweep.go", "			if !settled {\n				return false, committedError(files, path)\n			}\n", "", sweep},
		{"what was committed is written over", "checkpoint/write.go", "	if _, err := removable(files, target, false); err != nil {\n		return err\n	}\n", "", sweep},
		{"what the log decides nothing about is swept", "checkpoint/sweep.go", "		case litter:\n", "		case litter || err == nil:\n", pending},
		{"what notes nothing is swept", "checkpoint/sweep.go", "	if pending != nil {\n		litter", "	if pending == nil {\n		return s.removed(name, drop(s.files, s.dir, name))\n	}\n	if pending != nil {\n		litter", pending},
		{"another checkpoint is removed when it is replaced", "checkpoint/write.go", "	if same {\n		return drop", "	if same || true {\n		return drop", pending},
		{"another checkpoint that was being replaced is swept", "checkpoint/sweep.go", "	if err != nil || !same {\n		return false, err\n	}\n	return true, s.removed", "	if err != nil {\n		return same, err\n	}\n	return true, s.removed", pending},
		{"a checkpoint that cannot be marked fails the sweep", "checkpoint/sweep.go", "		unmarked = append(unmarked, mark(files, dir, ref, 0))\n", "		failures = append(failures, mark(files, dir, ref, 0))\n", pending},
		{"a user's file is removed with a checkpoint", "checkpoint/sweep.go", "			return false, &ForeignError{Folder: path, Name: name}\n", "", sweep},
		{"what an earlier version committed is not marked", "checkpoint/sweep.go", "		unmarked = append(unmarked, mark(files, dir, ref, 0))\n", "		_ = ref\n", sweep},
		{"a run does not mark what it commits", "integration/run_actor.go", "	_ = a.workspace.Checkpoints(a.id).Mark(committed.Checkpoint.Ref(), uint64(a.record.Position))\n", "", older},
		{"a copy is not marked", "datadir/backup.go", "			if err := to.Checkpoints(r.ID).Mark(cp.Ref(), 0); err != nil {\n				return copied, fmt.Errorf(\"run %s: %w\", r.ID, err)\n			}\n", "", older},
		{"a run that the log does not have is not a sign of an older log", "datadir/files_check.go", "		if known {\n			var err error\n", "		if problem = \"\"; known {\n			var err error\n", older},
		{"a mark is not a sign of an older log", "datadir/files_check.go", "		case u.Marked:\n", "		case false:\n", older},
		{"a note is not a sign of an older log", "datadir/files_check.go", "			} else if !has {\n", "			} else if !has && false {\n", older},
		{"a log that diverged is not found", "datadir/files_check.go", " && e.Hash.String() == p.Hash", "", older},
		{"several checkpoints without a note are not a sign of an older log", "datadir/files_check.go", "	if unnoted > 1 {", "	if false {", older},
		{"a checkpoint is litter although none was committed since", "datadir/files_check.go", "			if err != nil || len(events) == 0 {\n				return false, err\n", "			if err != nil || len(events) == 0 {\n				return true, err\n", older},
		{"what cannot be marked in a run stops the others", "datadir/files_check.go", "		*failed = cmp.Or(*failed, files.Mark(ref, 0))\n", "		if err := files.Mark(ref, 0); err != nil {\n			return err\n		}\n", older},
		{"the area of a living maker is swept", "internal/staging/staging.go", "			return // its maker lives\n", "			_ = os.RemoveAll(folder)\n			return\n", tests("./internal/staging")},
		{"a lock on a file that lost its name counts", "internal/flock/flock.go", "	if err == nil && !named {\n", "	if err == nil && !named && false {\n", tests("./internal/flock", "-run", "^TestALockIsOn")},
		{"a folder with something else in it is swept", "internal/staging/staging.go", "			return // New did not make it\n", "", tests("./internal/staging")},
		{"a folder of a similar name is swept", "internal/staging/staging.go", "e.IsDir() && isArea(e.Name())", "e.IsDir() && strings.HasPrefix(e.Name(), prefix)", tests("./internal/staging")},
		{"what is published replaces a file", "internal/disk/rename_linux.go", "unix.RENAME_NOREPLACE", "0", tests("./internal/disk", "./internal/staging")},
		{"what is published replaces a file where no call prevents it", "internal/disk/rename.go", "os.O_WRONLY|os.O_CREATE|os.O_EXCL", "os.O_WRONLY|os.O_CREATE", tests("./internal/disk")},
		{"a store's maker removes files of similar names", "eventstore/sqlite/file.go", " || !slices.Contains(databaseSuffixes(), suffix)", "", tests("./eventstore/sqlite", "-run", "^TestAStoreComes")},
	}
}

// names are the mutants that use a name as a path without a check, or treat as
// a regular file what is not one.
func names() []Mutant {
	id := tests("./training", "-run", "^TestARunID")
	codec := tests("./journal", "-run", "^TestNamesThatLeadElsewhere")
	return []Mutant{
		{"a run's name may be empty", "training/name.go", "	case id == \"\":\n", "	case id == \"\":\n		return nil\n	case false:\n", id},
		{"a run's name may have any length", "training/name.go", "	case len(id) > maxRunID:\n", "	case false:\n", id},
		{"a run's name may have any characters", "training/name.go", "	case strings.ContainsFunc(string(id), notInRunID):\n", "	case false:\n", id},
		{"a run's name may look like a flag", "training/name.go", "	case id[0] == '-' || id[0] == '_':\n", "	case false:\n", id},
		{"a run's name may be a device's", "training/name.go", "	case reserved(string(id)):\n", "	case false:\n", id},
		{"the run of an event may have any name", "journal/codec.go", "		if err := id.Validate(); err != nil {\n			return err\n		}\n", "", codec},
		{"an event may be another run's", "journal/codec.go", "		if ofRun && event.RunID != id {\n", "		if false {\n", codec},
		{"a fork's parent may have any name", "journal/codec.go", "			if err := parent.RunID.Validate(); err != nil {\n", "			if err := parent.RunID.Validate(); err != nil && false {\n", codec},
		{"the checkpoint of a fork's parent may have any name", "journal/codec.go", "			if err := parent.Checkpoint.Ref().Validate(); err != nil {\n", "			if err := parent.Checkpoint.Ref().Validate(); err != nil && false {\n", codec},
		{"a checkpoint may have any name", "journal/codec.go", "		return event.Checkpoint.Ref().Validate()\n", "		return nil\n", codec},
		{"what is not a regular file is opened", "internal/disk/disk.go", "	case err == nil && !info.Mode().IsRegular():\n", "	case false:\n", tests("./internal/disk")},
		{"a lock may be a link", "internal/flock/flock.go", "err == nil && !info.Mode().IsRegular() {", "err == nil && false && info != nil {", tests("./internal/flock", "-run", "^TestOnlyARegularFileIsLocked")},
		{"the files of runs may lie outside", "datadir/workspace.go", "		return disk.Within{Dir: w.RunsDir()}\n", "		return disk.OS{}\n", tests("./integration", "-run", "^TestTheFilesOfARunStay")},
	}
}
