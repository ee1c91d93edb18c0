package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"reprise/eventstore"
)

// auditedModel is a stored read model, and the same model folded from the events.
type auditedModel struct {
	stored *view
	folded ReadModel
}

// modelAudit compares the stored read models with the events.
type modelAudit []*auditedModel

// storedModels returns the stored models that would be used.
func storedModels(ctx context.Context, store eventstore.Store) (modelAudit, error) {
	views, err := loadAll(ctx, store, Projections())
	if err != nil {
		return nil, err
	}
	var list modelAudit
	for _, v := range views {
		if v.stored.usable {
			list = append(list, &auditedModel{stored: v, folded: v.New()})
		}
	}
	return list, nil
}

// apply folds the next event and compares the models that have seen the log up to
// it.
func (m modelAudit) apply(e eventstore.Event) error {
	for _, k := range m {
		if e.Position > k.stored.at {
			continue
		}
		if err := k.folded.Apply(e); err != nil {
			return k.wrong(err.Error())
		}
	}
	return m.reach(e.Position)
}

// reach compares the models that have seen the log up to the position.
func (m modelAudit) reach(at eventstore.Position) error {
	for _, k := range m {
		if k.stored.at != at {
			continue
		}
		was, err := json.Marshal(k.stored.model)
		if err != nil {
			return err
		}
		is, err := json.Marshal(k.folded)
		if err != nil {
			return err
		}
		if !bytes.Equal(was, is) {
			return k.wrong(Difference(k.stored.model, k.folded, "the events give"))
		}
	}
	return nil
}

// end fails for a model that claims to have seen more than there is.
func (m modelAudit) end(head eventstore.Position) error {
	for _, k := range m {
		if k.stored.at > head {
			return k.wrong(fmt.Sprintf("it is for position %d, but the log ends at %d", k.stored.at, head))
		}
	}
	return nil
}

func (k *auditedModel) wrong(what string) error {
	return &ContradictionError{Derived: true,
		What: fmt.Sprintf("the stored read model %q is not what the events add up to: %s; the events are intact", k.stored.Name, what)}
}
