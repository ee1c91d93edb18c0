package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"reprise/api"
	"reprise/datadir"
	"reprise/dataset"
	"reprise/dataset/preprocess"
	"reprise/fault"
	"reprise/integration"
	"reprise/internal/figures"
	"reprise/internal/flock"
	"reprise/journal"
	"reprise/nn"
	"reprise/queue"
	"reprise/training"
	"reprise/training/loop"
)

// job is a request that was checked: everything up to here has written nothing. It has
// a session and events unless its data have to be fetched or take long to open.
type job struct {
	submit  queue.Submit
	named   bool // its caller has chosen its id
	folds   int  // it is one of so many; 0 for one that stands alone
	data    *dataset.Dataset
	session training.TrainingSession
	events  []training.Event
	// initial is where the initial weights come from; "" for the seed.
	initial string
	notes   []string // about them
}

// Validate implements api.Service.
func (s *Service) Validate(ctx context.Context, q api.ValidateRequest) (_ api.Validation, err error) {
	defer explain(ctx, &err)
	defer s.shelf.use()()
	j, err := s.prepare(ctx, api.SubmitRequest{Files: []api.RequestFile{q.File}, Settings: q.Settings, Folder: q.Folder}, true)
	if err != nil {
		return api.Validation{}, err
	}
	session := j[0].session
	plan, err := loop.PlanOf(session)
	if err != nil {
		return api.Validation{}, err
	}
	parameters, err := session.Architecture.ParameterCount()
	if err != nil {
		return api.Validation{}, err
	}
	v := api.Validation{
		Valid: true, Model: api.ValidatedModel{Architecture: session.Architecture, Parameters: parameters}, Init: session.Init, Data: session.Dataset,
		Hyperparameters: session.Hyperparameters, TotalSteps: session.Hyperparameters.TotalSteps(session.Dataset.Training), Memory: plan.Memory(), Folds: j[0].folds,
	}
	if q := j[0].submit.Submission; q.Priority != 0 || q.Owner != s.userOf(ctx) || q.Group != "" || len(q.After)+len(q.Labels) > 0 || q.MaxDuration != 0 || !q.Annotation.IsZero() {
		v.Job = &api.ValidatedJob{
			Owner: q.Owner, Group: q.Group, Priority: q.Priority, After: q.After, MaxSeconds: q.MaxDuration.Seconds(), Labels: q.Labels, Annotation: q.Annotation,
		}
	}
	v.Devices, err = s.placements(session)
	return v, err
}

// placements asks every device of this machine.
func (s *Service) placements(session training.TrainingSession) ([]api.Placement, error) {
	workload, err := integration.WorkloadOf(session)
	if err != nil {
		return nil, err
	}
	drivers, undevices, err := s.devices()
	if err != nil {
		return nil, err
	}
	defer undevices()
	var list []api.Placement
	for _, d := range drivers {
		described := d.Describe()
		refusal := described.Refusal(workload)
		list = append(list, api.Placement{Device: described.ID(), Takes: len(refusal) == 0, Refusal: refusal})
	}
	return list, nil
}

// Submit implements api.Service.
func (s *Service) Submit(ctx context.Context, q api.SubmitRequest) iter.Seq2[api.Submission, error] {
	return streamOf(ctx, func(ctx context.Context, send func(api.Submission) error) error {
		defer s.shelf.use()()
		// Whether another process trains in the data directory comes last: it must not
		// hide what is wrong with the requests.
		jobs, err := s.prepare(ctx, q, false)
		if err := errors.Join(err, s.checkDir()); err != nil {
			return err
		}
		h, err := s.hold(ctx)
		if err != nil {
			return err
		}
		defer s.release(h)
		return launchAll(ctx, make([]error, len(jobs)), send, func(i int) (training.RunID, error) { return h.submit(ctx, jobs[i]) })
	})
}

// launchAll launches one run after the other, but for those that were refused, and sends
// what becomes of each, until one cannot be launched: what keeps it from starting would keep
// the next one, too.
func launchAll(ctx context.Context, refused []error, send func(api.Submission) error, launch func(i int) (training.RunID, error)) error {
	for i, err := range refused {
		if explain(ctx, &err); err != nil {
			e := api.ErrorOf(err)
			if sent := send(api.Submission{Index: i, RunID: e.Run, Error: e}); sent != nil {
				return sent
			}
			continue
		}
		id, err := launch(i)
		if err != nil && ctx.Err() != nil {
			return err
		}
		explain(ctx, &err)
		if sent := send(api.Submission{Index: i, RunID: id, Error: api.ErrorOf(err)}); sent != nil || err != nil {
			return sent
		}
	}
	return nil
}

// prepare checks and translates requests, and opens their data: with fetch all of them,
// even those that have to be fetched, and otherwise those that can be opened soon. Everything
// that is wrong with any of them is reported at once.
// The jobs come without their data, which the shelf opens again when a run needs it.
func (s *Service) prepare(ctx context.Context, q api.SubmitRequest, fetch bool) ([]job, error) {
	if n := len(q.Files); n == 0 || n > api.MaxRequests {
		return nil, &fault.FieldError{Field: "files", Value: fmt.Sprint(n), Problem: "is not a number of requests that can be submitted",
			Fix: fmt.Sprintf("give 1 to %d", api.MaxRequests)}
	}
	if err := joined([]error{eachRunID(q.RunIDs), checkAnnotation(q)}); err != nil {
		return nil, err
	}
	if err := checkFolder(q.Folder); err != nil {
		return nil, err
	}
	requests, runs, errs := s.parseAll(ctx, q)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sound := errors.Join(errs...) == nil
	if sound {
		if err := checkRuns(q, runs); err != nil {
			return nil, err
		}
	}
	var list []toCheck
	jobs := make([]job, len(runs))
	draw := withoutRepeats(s.newRunID)
	set := s.queueSettings(ctx)
	group := "" // of the folds of the file
	for i, run := range runs {
		if errs[i] != nil {
			continue
		}
		file := q.Files[run.File].Name
		var submission queue.Submission
		request, unresolved := s.resolveInitial(ctx, requests[i], string(q.Folder))
		if unresolved != nil {
			request.Model.Init = ""
		}
		requests[i], submission, errs[i] = s.split(ctx, set, request, file, q.Folder)
		errs[i] = joined([]error{unresolved, errs[i]})
		if errs[i] == nil {
			errs[i] = annotate(q, run, &submission)
		}
		id := draw()
		if i < len(q.RunIDs) {
			id, jobs[i].named = q.RunIDs[i], true
		}
		if run.Folds > 0 {
			if run.Fold == 1 {
				group = cmp.Or(submission.Group, "folds-"+string(id))
			}
			if !fetch { // to be submitted
				submission.Group = group
			}
			submission.Name = queue.NameOf(fmt.Sprintf("%s fold %d of %d", file, run.Fold, run.Folds))
		}
		errs[i] = joined([]error{errs[i], namesOfFold(run, submission)})
		jobs[i].folds, jobs[i].submit = run.Folds, queue.Submit{Job: queue.JobID(id), Submission: submission}
		// Nothing is fetched where the submission will be refused anyway. Without a network,
		// what is missing is not waited for.
		if (!fetch && !s.offline() || !sound || errs[i] != nil) && s.mustFetch(ctx, requests[i], string(q.Folder)) {
			continue
		}
		list = append(list, toCheck{at: i, file: run.File, request: requests[i], id: id})
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	said := map[api.Notice]bool{} // the folds of a file say most of it alike
	take := func(i int, c checked) {
		for _, n := range c.notices {
			if runs[i].Folds == 0 || !said[n] {
				api.Notify(ctx, n)
			}
			said[n] = true
		}
		errs[i] = joined([]error{errs[i], c.err})
		jobs[i].session, jobs[i].events, jobs[i].initial = c.job.session, c.job.events, c.job.initial
	}
	if fetch { // what is fetched is waited for, and shown meanwhile
		for _, c := range list {
			take(c.at, s.check(ctx, q, c))
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
	} else if abandon, err := s.readyAll(ctx, q, list, take); err != nil {
		return nil, err
	} else if errors.Join(errs...) != nil {
		abandon()
	}
	perFile := make([]error, len(q.Files))
	for i, run := range runs {
		perFile[run.File] = alsoFold(perFile[run.File], errs[i])
	}
	if len(q.Files) == 1 {
		return jobs, perFile[0]
	}
	return jobs, joinMistakes(q.Files, perFile)
}

// parseAll parses the files, and returns a request for each run that they ask for, or the
// error of its file.
func (s *Service) parseAll(ctx context.Context, q api.SubmitRequest) (requests []api.TrainingRequest, runs []api.RequestedRun, errs []error) {
	settings := q.Settings.Parse()
	for i, file := range q.Files {
		request, err := s.parse(ctx, file, settings, string(q.Folder))
		if ctx.Err() != nil {
			return requests, runs, errs
		}
		if err != nil {
			if len(q.Files) > 1 {
				err = invalid(err)
			}
			requests, runs, errs = append(requests, request), append(runs, api.RequestedRun{File: i}), append(errs, err)
			continue
		}
		folds := request.Folds()
		for _, fold := range folds {
			run := api.RequestedRun{File: i}
			if len(folds) > 1 {
				run.Fold, run.Folds = fold.Dataset.Split.Fold, len(folds)
			}
			requests, runs, errs = append(requests, fold), append(runs, run), append(errs, nil)
		}
	}
	return requests, runs, errs
}

// checkRuns fails for more runs than can be submitted together, and for ids that are not
// one for each.
func checkRuns(q api.SubmitRequest, runs []api.RequestedRun) error {
	if n := len(runs); n > api.MaxRequests {
		return &fault.FieldError{Field: "files", Value: fmt.Sprintf("%d runs, with all folds,", n), Problem: "are more than can be submitted together",
			Fix: fmt.Sprintf("give requests of at most %d runs", api.MaxRequests)}
	}
	if n := len(q.RunIDs); n > 0 && n != len(runs) {
		return &fault.FieldError{Field: "run_ids", Value: fmt.Sprint(n), Problem: fmt.Sprintf("is not the number of runs, which is %d", len(runs)),
			Fix: "give an id for each run, or none"}
	}
	return nil
}

// namesOfFold fails for what a fold of several is called because it is one.
func namesOfFold(run api.RequestedRun, submission queue.Submission) error {
	if run.Folds == 0 || submission.Annotation.Validate() == nil {
		return nil
	}
	return invalid(submission.Annotation.Validate())
}

// alsoFold adds the mistakes of a fold to those of the folds before it, which mostly have
// the same.
func alsoFold(before, err error) error {
	if before == nil || err == nil {
		return errors.Join(before, err)
	}
	known := map[string]bool{}
	all := fault.Parts(before)
	for _, part := range all {
		known[part.Error()] = true
	}
	for _, part := range fault.Parts(err) {
		if !known[part.Error()] {
			all = append(all, part)
		}
	}
	return fault.As(fault.KindOf(before), errors.Join(all...))
}

// eachRunID fails for ids that no run can have, and for one that is given twice.
func eachRunID(ids []training.RunID) error {
	var errs []error
	seen := make(map[training.RunID]bool, len(ids))
	for i, id := range ids {
		field := fmt.Sprintf("run_ids[%d]", i)
		errs = append(errs, checkRunID(field, id))
		if seen[id] {
			errs = append(errs, &fault.FieldError{Field: field, Value: string(id), Problem: "is there twice", Fix: "give each run an id of its own"})
		}
		seen[id] = true
	}
	return joined(errs)
}

// checkFolder fails for a folder that relative paths cannot start from: that of this process
// is not that of the caller.
func checkFolder(folder api.Text) error {
	if filepath.IsAbs(string(folder)) {
		return nil
	}
	return &fault.FieldError{Field: "folder", Value: strconv.Quote(string(folder)), Problem: "is not an absolute path", Fix: "give the folder that relative paths start from, such as /home/ada"}
}

// checkRunID fails for an id that no run can have, or that stands for another run.
func checkRunID(field string, id training.RunID) error {
	if id == journal.Latest {
		return &fault.FieldError{Field: field, Value: string(id), Problem: "means the newest run", Fix: "give the run an id of its own"}
	}
	err := id.Validate()
	var wrong *fault.FieldError
	if errors.As(err, &wrong) {
		named := *wrong
		named.Field = field
		return &named
	}
	return err
}

// parse parses a request file and sets fields of it.
func (s *Service) parse(ctx context.Context, file api.RequestFile, settings []api.Setting, folder string) (api.TrainingRequest, error) {
	if file.Unreadable != nil {
		if bad := api.CheckSettings(settings...); bad != nil {
			return api.TrainingRequest{}, invalid(errors.Join(file.Unreadable, bad))
		}
		return api.TrainingRequest{}, file.Unreadable
	}
	request, err := api.ParseTrainingRequest(string(file.Name), []byte(file.Content), settings...)
	if err != nil {
		return request, invalid(api.Join(api.Join(err, s.moreMistakes(ctx, request, folder)), s.jobMistakes(ctx, request)))
	}
	return request, nil
}

// noteClasses says which classes may be one by mistake, and what was decided about a
// table that nobody asked for.
func noteClasses(ctx context.Context, file string, several bool, data *dataset.Dataset) {
	notes := data.Notes()
	if more := len(notes) - mostNotes; more > 0 {
		notes = append(notes[:mostNotes:mostNotes], fmt.Sprintf("%d more of these; reprise datasets inspect has them all", more))
	}
	if similar := dataset.SimilarClasses(data.ClassNames()); similar != "" {
		notes = append(notes, similar)
	}
	for _, note := range notes {
		if several {
			note = file + ": " + note
		}
		api.Notify(ctx, api.Notice{Note: note})
	}
}

// mostNotes bounds the notes about the columns of a table.
const mostNotes = 8

// ready checks and translates a request that was read, for a run of the given id, and
// opens its data.
func (s *Service) ready(ctx context.Context, request api.TrainingRequest, id training.RunID, folder string) (job, error) {
	source, data, err := s.shelf.requested(ctx, s, request, folder)
	if err != nil {
		return job{}, err
	}
	session, events, err := api.FromExternalRequest(request, source, data, s.ids(id))
	if err != nil {
		return job{}, invalid(request.Locate(err))
	}
	if _, err := loop.PlanOf(session); err != nil { // a model that no device could take
		return job{}, invalid(request.Locate(err))
	}
	j := job{data: data, session: session, events: events, initial: request.Model.Init}
	if j.initial == "" {
		return j, nil
	}
	t, err := s.takeInitial(ctx, j.initial, session.Architecture)
	if err != nil {
		return job{}, initialError(request, err)
	}
	if j.session, j.events, err = training.StartFrom(t.init, session, events); err != nil {
		return job{}, err
	}
	document, err := preprocess.Parse(data.Preprocessing())
	j.notes = t.notes(document)
	return j, err
}

// initialError makes an error about initial weights one about the field that names them,
// of the kind that it has.
func initialError(request api.TrainingRequest, err error) error {
	kind := fault.KindOf(err)
	if !errors.As(err, new(*fault.FieldError)) {
		e := api.ErrorOf(err)
		err = &fault.FieldError{Field: training.FieldInit, Value: strconv.Quote(request.Model.Init), Problem: "cannot be used: " + e.Message,
			Fix: "name another run or file", Cause: err}
	}
	if kind == fault.Canceled || kind == fault.Unavailable || kind == fault.Exhausted {
		return fault.As(kind, request.Locate(err))
	}
	return invalid(request.Locate(err))
}

// split returns the request to train, and what submits it to the queue. It fails for
// what no queue, or not that of this machine, ever accepts.
func (s *Service) split(
	ctx context.Context, set queue.Settings, request api.TrainingRequest, name, folder api.Text,
) (api.TrainingRequest, queue.Submission, error) {
	train, submission, err := request.Split(queue.NameOf(string(name)), s.userOf(ctx))
	if err != nil {
		return train, submission, invalid(request.Locate(err))
	}
	submission.Folder = string(folder)
	return train, submission, request.Locate(s.admission(ctx, set, &submission))
}

// admission completes the names of the runs that a submission is to run after. It fails
// with all in the submission that fits no run or device of this data directory.
func (s *Service) admission(ctx context.Context, set queue.Settings, submission *queue.Submission) error {
	var errs []error
	for i, id := range submission.After {
		run, err := s.predecessor(ctx, i, string(id))
		submission.After[i], errs = queue.JobID(run), append(errs, err)
	}
	drivers, release, err := s.devices()
	if err != nil {
		return err
	}
	defer release()
	return joined(append(errs, integration.Admit(drivers, s.config.policy(), set, *submission)))
}

// jobMistakes returns what else is wrong with what a request in which mistakes were found
// says about queueing.
func (s *Service) jobMistakes(ctx context.Context, request api.TrainingRequest) error {
	var submission queue.Submission
	if request.Sound("job.after") {
		for _, id := range request.Job.After {
			submission.After = append(submission.After, queue.JobID(id))
		}
	}
	if request.Sound("job.labels") {
		submission.Labels = request.Job.Labels
	}
	located := request.Locate(s.admission(ctx, s.queueSettings(ctx), &submission))
	if errors.As(located, new(*api.RequestError)) {
		return located
	}
	return nil // it would come again once the mistakes are mended
}

// predecessor returns the run that the entry of a request's job.after names.
func (s *Service) predecessor(ctx context.Context, i int, name string) (training.RunID, error) {
	f, err := s.find(ctx, name)
	if fault.KindOf(err) == fault.NotFound {
		return "", &fault.FieldError{Field: fmt.Sprintf("job.after[%d]", i), Value: name, Problem: "is not a run", Fix: "name runs that `reprise runs list` shows"}
	}
	if err != nil {
		return "", err
	}
	defer f.close()
	field := fmt.Sprintf("job.after[%d]", i)
	state := f.job.Job.State()
	if f.job.Version == 0 && f.run.Session.State == training.Failed { // of a version that had no queue
		state = queue.StateFailed
	}
	problem := queue.CheckPredecessor(field, queue.JobID(f.id), state)
	var mistake *fault.FieldError
	if jobs, err := f.Jobs(ctx); err == nil && errors.As(problem, &mistake) {
		if retry := jobs.NewestTry(queue.JobID(f.id)); retry != queue.JobID(f.id) {
			mistake.Fix = fmt.Sprintf("name %s, its retry, or leave it out", retry)
		}
	}
	return f.id, problem
}

// prepareJob opens the data of a job and translates its request, as integration.Prepare
// says. fitted says that the request fitted its data once.
func (s *Service) prepareJob(ctx context.Context, id queue.JobID, q queue.Submission, fitted bool) ([]training.Event, error) {
	request, err := api.RecordedRequest(q.Request)
	if err != nil {
		return nil, err
	}
	j, err := s.ready(ctx, request, training.RunID(id), q.Folder)
	if err != nil {
		return nil, s.acceptedError(ctx, request, err, fitted)
	}
	noteClasses(ctx, q.Name, false, j.data)
	for _, note := range j.notes {
		api.Notify(ctx, api.Notice{Note: note})
	}
	if err := s.keepInitial(ctx, training.RunID(id), j.initial, j.session); err != nil {
		return nil, err
	}
	return j.events, nil
}

// acceptedError gives what keeps an accepted request from being prepared the kind of what
// may pass. If the request fitted its files once, it is they that are missing, damaged or
// changed; if not, a mistake is one for good, as it is for data of the catalogue, which
// never change.
func (s *Service) acceptedError(ctx context.Context, request api.TrainingRequest, err error, fitted bool) error {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Exhausted, fault.Canceled:
		return err
	case fault.Invalid:
		if !fitted || s.catalogued(ctx, request) {
			return err
		}
		return changedData(changedSince, err)
	case fault.Corrupt:
		if !fitted && !s.catalogued(ctx, request) {
			return invalid(err)
		}
		return changedData(changedSince, err)
	case fault.NotFound:
		return changedData(changedSince, err)
	case fault.Internal, fault.Conflict, fault.Forbidden, fault.Unauthenticated: // of the files
	}
	return fault.As(fault.Unavailable, err)
}

// catalogued reports whether the data of a request are of the catalogue.
func (s *Service) catalogued(ctx context.Context, request api.TrainingRequest) bool {
	library, done, err := s.library(ctx)
	if err != nil {
		return false
	}
	defer done()
	_, found := library.Lookup(request.DatasetPath)
	return found
}

// changedSince says of the data of a job that was accepted that they no longer fit.
const changedSince = "its data have changed since it was submitted"

// changedData says of data that do not fit a request any longer what is wrong with them.
// To correct the request, as err may advise, would not help the run.
func changedData(what string, err error) error {
	return &datadir.AdvisedError{
		Err:    fault.New(fault.Unavailable, "%s: %s", what, problemsOf(err)),
		Remedy: "put them back as they were",
	}
}

// problemsOf returns what is wrong with data, without the advice to correct a request.
func problemsOf(err error) string {
	var problems []string
	for _, part := range fault.Parts(err) {
		text, fix := part.Error(), ""
		var field *fault.FieldError
		var mistake *api.RequestError
		switch {
		case errors.As(part, &mistake):
			fix = mistake.Fix
		case errors.As(part, &field):
			fix = field.Fix
		}
		problems = append(problems, strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(text, "dataset_path: "), dataset.FieldPath+": "), "; "+fix))
	}
	return strings.Join(problems, "; ")
}

// joinMistakes returns the errors of the files as one. What is wrong with several
// files, such as a bad setting, is said once. If any of them is the user's to correct,
// so is the whole, unless something may pass by itself, such as a network that is down.
func joinMistakes(files []api.RequestFile, errs []error) error {
	type mistake struct {
		err   error
		files []string // that it is about, where it does not say so itself
	}
	names := make([]string, len(files))
	var list []*mistake
	known := map[string]*mistake{}
	var refused, passing bool
	for i, err := range errs {
		name := string(files[i].Name)
		names[i] = name
		refused = refused || fault.KindOf(err) == fault.Invalid
		passing = passing || errors.As(err, new(*dataset.OfflineError))
		for _, part := range fault.Parts(err) {
			text := part.Error()
			m := known[text]
			if m == nil {
				m = &mistake{err: part}
				known[text] = m
				list = append(list, m)
			}
			named := files[i].Unreadable != nil && errors.Is(part, files[i].Unreadable) || strings.HasPrefix(text, name+":") || strings.HasPrefix(text, name+" ")
			if !named && !slices.Contains(m.files, name) {
				m.files = append(m.files, name)
			}
		}
	}
	distinct := len(slices.Compact(slices.Sorted(slices.Values(names))))
	var all []error
	for _, m := range list {
		if n := len(m.files); n > 0 && n < distinct {
			m.err = fmt.Errorf("%s: %w", figures.And(m.files), m.err)
		}
		all = append(all, m.err)
	}
	joined := errors.Join(all...)
	switch {
	case passing:
		return fault.As(fault.Unavailable, joined)
	case refused:
		return invalid(joined)
	}
	return joined
}

// invalid marks err as the caller's to correct: nothing was written; nil stays nil.
func invalid(err error) error { return fault.As(fault.Invalid, err) }

// checkDir fails where no run can be kept in the data directory, now or later.
func (s *Service) checkDir() error {
	if s.config.Dir == "" {
		return s.config.NoDir
	}
	if _, _, err := flock.Probe(s.workspace.LockPath()); err != nil {
		return s.lockError(&datadir.LockError{Dir: s.workspace.Dir, Err: err})
	}
	return nil
}

// withoutRepeats returns a function that draws until it gets what it did not get before:
// few characters of a run's id are random, and requests are checked within a second.
func withoutRepeats[T comparable](draw func() T) func() T {
	drawn := map[T]bool{}
	return func() T {
		v := draw()
		for drawn[v] {
			v = draw()
		}
		drawn[v] = true
		return v
	}
}

// ids returns the identities of what a request starts.
func (s *Service) ids(run training.RunID) api.IDs {
	return api.IDs{Run: run, Session: training.SessionID(s.newID()), Model: nn.ModelID(s.newID())}
}

// newRunID returns an id that sorts by time and is easy to say: the time in UTC
// and four random characters.
func (s *Service) newRunID() training.RunID { return NewRunID(s.config.Now(), s.config.Random) }

// NewRunID returns an id for a run that is submitted now, as a Service draws it.
func NewRunID(now time.Time, randomness io.Reader) training.RunID {
	const letters = "0123456789abcdefghjkmnpqrstvwxyz" // 32, without the ones that are easily confused
	var random [4]byte
	mustRead(randomness, random[:])
	for i, b := range random {
		random[i] = letters[b%32]
	}
	return training.RunID(now.UTC().Format("20060102-150405-") + string(random[:]))
}
