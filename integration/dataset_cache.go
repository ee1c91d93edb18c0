package integration

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"reprise/actor"
	"reprise/dataset"
	"reprise/fault"
	"reprise/training"
	"reprise/training/loop"
)

// OpenDataset opens the data that a session was recorded with. It may take as long as
// it needs, and should return early when ctx is done: nobody waits for the data then.
// It is called on a goroutine of its own, so several data sets may be opened at once.
type OpenDataset func(ctx context.Context, d training.Dataset) (*dataset.Dataset, error)

// datasetCache is the actor that holds the data sets that runs train on. A data set
// is opened once, however many runs ask for it, and dropped when none uses it. It is
// opened in the background: the actor itself never waits, so a slow data set delays
// only the runs that need it.
type datasetCache struct {
	open OpenDataset
	// background runs work that must not hold up the actor.
	background func(work func())
	entries    map[datasetKey]*cachedDataset
	late       *lateMessages[datasetMessage]
}

// datasetKey tells data sets apart. The source is part of it because the same content
// may be missing from one folder and present in another.
type datasetKey struct {
	id     training.DatasetID
	source dataset.Source
}

// cachedDataset is a data set that is being opened, or that is open.
type cachedDataset struct {
	data    *dataset.Dataset        // nil while it is being opened
	opening *opening                // the current one, or the last
	waiting []loadDataset           // in the order in which they came
	users   map[training.RunID]bool // that were lent the data
}

// opening is one call of OpenDataset.
type opening struct {
	cancel context.CancelFunc
	// canceled says that everybody who waited had left. Whoever asks before the call
	// has returned waits for it: at most one call for each data set is under way.
	canceled bool
	// ended says that the call has returned.
	ended bool
}

// datasetOpened is what an opening sends to the cache when it has ended.
type datasetOpened struct {
	key  datasetKey
	of   *opening
	data *dataset.Dataset
	err  error
}

func (datasetOpened) datasetMessage() {}

// errCacheFailed is what a run is refused with when the cache fails while the run
// waits. The run's actor is restarted, and asks again.
var errCacheFailed = errors.New("the data set cache failed while the data set was being opened")

func newDatasetCache(open OpenDataset, background func(work func()), late *lateMessages[datasetMessage]) *datasetCache {
	return &datasetCache{open: open, background: background, late: late, entries: map[datasetKey]*cachedDataset{}}
}

// Receive lends out data sets and takes them back.
func (c *datasetCache) Receive(ctx *actor.Context[datasetMessage], message datasetMessage) error {
	if err := c.late.deliver(ctx); err != nil {
		return err
	}
	switch m := message.(type) {
	case loadDataset:
		return c.load(ctx, m)
	case datasetOpened:
		return c.opened(ctx, m)
	case unloadDataset:
		for key, held := range c.entries {
			if key.id == m.Dataset {
				c.unload(key, held, m.Run)
			}
		}
		return reply(ctx, m.ReplyTo, datasetUnloaded{Request: m.Request, Dataset: m.Dataset})
	case forgetRun:
		for key, held := range c.entries {
			c.unload(key, held, m.Run)
		}
	case deliverLate:
	}
	return nil
}

// Stopped ends all openings, and refuses those who wait for them: the next incarnation
// would not know of them.
func (c *datasetCache) Stopped(ctx *actor.Context[datasetMessage], _ error) {
	for _, held := range c.entries {
		held.opening.cancel()
		for _, m := range held.waiting {
			_ = reply(ctx, m.ReplyTo, datasetRefused{Request: m.Request, Err: errCacheFailed}) // the cache has ended anyway
		}
	}
	clear(c.entries)
}

// reply answers a run. One that has ended in the meantime needs no answer; what it
// was lent is returned by forgetRun.
func reply(from actor.Sender, run actor.Ref[RunMessage], answer RunMessage) error {
	if err := actor.Send(from, run, answer); !errors.Is(err, actor.ErrStopped) {
		return err
	}
	return nil
}

// load lends a data set that is open, and else lets the run wait until it is.
func (c *datasetCache) load(ctx *actor.Context[datasetMessage], m loadDataset) error {
	key := datasetKey{m.Dataset.ID, m.Dataset.Source()}
	held := c.entries[key]
	if held == nil {
		held = &cachedDataset{users: map[training.RunID]bool{}}
		c.entries[key] = held
		c.start(ctx, key, held, m.Dataset)
	}
	if held.data != nil {
		return c.lend(ctx, held, m)
	}
	held.leave(m.Run) // an earlier request of this run
	held.waiting = append(held.waiting, m)
	return reply(ctx, m.ReplyTo, datasetDeferred{Request: m.Request})
}

// start begins to open a data set. The result comes as a message.
func (c *datasetCache) start(ctx *actor.Context[datasetMessage], key datasetKey, held *cachedDataset, d training.Dataset) {
	until, cancel := context.WithCancel(ctx.Context())
	held.opening = &opening{cancel: cancel}
	result := datasetOpened{key: key, of: held.opening}
	self, open := ctx.Self(), c.open
	c.background(func() {
		defer cancel()
		result.data, result.err = openSafely(until, open, d)
		// The cache does nothing slow, so there is room soon. It fails only where the
		// cache has ended.
		_ = self.TellContext(context.Background(), result)
	})
}

// openSafely turns a panic into an error: it is the failure of the runs that asked for
// the data, and of nothing else.
func openSafely(ctx context.Context, open OpenDataset, d training.Dataset) (data *dataset.Dataset, err error) {
	defer func() {
		if v := recover(); v != nil {
			data, err = nil, &actor.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	if data, err = open(ctx, d); err == nil && data == nil {
		err = fmt.Errorf("data set %s: opening it gave neither data nor an error", d.Path)
	}
	return data, err
}

// opened lends a data set to all who wait for it, or tells them why it cannot be opened.
func (c *datasetCache) opened(ctx *actor.Context[datasetMessage], m datasetOpened) error {
	held := c.entries[m.key]
	if held == nil || held.opening != m.of {
		return nil // of an earlier incarnation
	}
	m.of.ended = true
	waiting := held.waiting
	if m.err != nil && m.of.canceled && len(waiting) > 0 {
		c.start(ctx, m.key, held, waiting[0].Dataset) // they came too late to keep it going
		return nil
	}
	held.data, held.waiting = m.data, nil
	var errs []error
	for _, w := range waiting {
		if m.err != nil {
			errs = append(errs, reply(ctx, w.ReplyTo, datasetRefused{Request: w.Request, Err: refusal(m.err)}))
		} else {
			errs = append(errs, c.lend(ctx, held, w))
		}
	}
	c.dropUnused(m.key, held)
	return errors.Join(errs...)
}

// refusal returns why a run gets no data, as the run's actor judges it: a panic is a
// defect, anything else is about the files.
func refusal(err error) error {
	if errors.As(err, new(*actor.PanicError)) {
		return fmt.Errorf("open the data set: %w", err)
	}
	return &loop.FilesError{Err: err}
}

// lend gives a run the data, unless it is not what the run was recorded with.
func (c *datasetCache) lend(ctx *actor.Context[datasetMessage], held *cachedDataset, m loadDataset) error {
	if err := CheckFingerprint(held.data, m.Dataset); err != nil {
		return reply(ctx, m.ReplyTo, datasetRefused{Request: m.Request, Err: refusal(err)})
	}
	held.users[m.Run] = true
	return reply(ctx, m.ReplyTo, datasetLoaded{Request: m.Request, Data: held.data})
}

// unload takes a data set from a run that uses it or waits for it.
func (c *datasetCache) unload(key datasetKey, held *cachedDataset, run training.RunID) {
	delete(held.users, run)
	held.leave(run)
	c.dropUnused(key, held)
}

// dropUnused drops a data set that nobody uses, or ends its opening if nobody waits for
// it. The entry stays until the opening has ended.
func (c *datasetCache) dropUnused(key datasetKey, held *cachedDataset) {
	switch {
	case len(held.users) > 0 || len(held.waiting) > 0:
	case held.data == nil && !held.opening.ended:
		held.opening.canceled = true
		held.opening.cancel()
	default:
		delete(c.entries, key)
	}
}

// leave removes a run from those that wait.
func (held *cachedDataset) leave(run training.RunID) {
	held.waiting = slices.DeleteFunc(held.waiting, func(m loadDataset) bool { return m.Run == run })
}

// CheckFingerprint fails unless the data is what the session was started with. That is
// Unavailable: the original data may be put back.
func CheckFingerprint(data *dataset.Dataset, want training.Dataset) error {
	if got := data.Fingerprint(); got != want.Fingerprint {
		return fault.New(fault.Unavailable, "data set %s has changed: its content is %s, the run was started on %s; put the original data back to continue",
			want.Path, got, want.Fingerprint)
	}
	return nil
}
