package actor

import (
	"fmt"
	"slices"
	"sync"
)

// Registry finds actors by name. A name belongs to one actor; an actor may have
// several names, and they are removed when it ends. Restarts do not affect them.
type Registry struct {
	system *System

	mu    sync.RWMutex // guards what follows
	refs  map[string]registered
	names map[*node][]string
}

type registered struct {
	node *node
	ref  any // a Ref
}

func newRegistry() *Registry {
	return &Registry{refs: map[string]registered{}, names: map[*node][]string{}}
}

// Register gives an actor of the registry's system a name of 1 to MaxName
// bytes. It fails with a *fault.FieldError, with ErrNameTaken, with ErrStopped if the
// actor has ended, and with ErrZeroRef.
func Register[M any](r *Registry, name string, ref Ref[M]) error {
	switch {
	case ref.cell == nil:
		return fmt.Errorf("register %q: %w", name, ErrZeroRef)
	case name == "" || len(name) > MaxName:
		return bad("name", fmt.Sprintf("%q", name), "must have 1 to 255 bytes", "choose another name")
	case ref.cell.parent.system != r.system:
		return bad("ref", ref.Path(), "belongs to another system", "use that system's registry")
	}
	n := &ref.cell.node
	// The actor cannot end while this lock is held; its end then finds the name.
	r.system.lock()
	defer r.system.unlock()
	if n.state == ended {
		return fmt.Errorf("register %q: %w", name, ErrStopped)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.refs[name]; taken {
		return fmt.Errorf("register %q: %w", name, ErrNameTaken)
	}
	r.refs[name] = registered{n, ref}
	r.names[n] = append(r.names[n], name)
	return nil
}

// Lookup returns the actor of that name. It fails with ErrNotFound, and with
// ErrWrongMessageType if the actor does not take messages of type M.
func Lookup[M any](r *Registry, name string) (Ref[M], error) {
	r.mu.RLock()
	found, ok := r.refs[name]
	r.mu.RUnlock()
	if !ok {
		return Ref[M]{}, fmt.Errorf("look up %q: %w", name, ErrNotFound)
	}
	ref, ok := found.ref.(Ref[M])
	if !ok {
		return Ref[M]{}, fmt.Errorf("look up %q: it is a %T, not a %T: %w", name, found.ref, Ref[M]{}, ErrWrongMessageType)
	}
	return ref, nil
}

// Unregister removes the name; the actor lives on. It fails with ErrNotFound.
func (r *Registry) Unregister(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.refs[name]
	if !ok {
		return fmt.Errorf("unregister %q: %w", name, ErrNotFound)
	}
	delete(r.refs, name)
	names := r.names[found.node]
	i := slices.Index(names, name)
	if names = slices.Delete(names, i, i+1); len(names) == 0 {
		delete(r.names, found.node)
	} else {
		r.names[found.node] = names
	}
	return nil
}

// Names returns the registered names in order.
func (r *Registry) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, 0, len(r.refs))
	for name := range r.refs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// forget removes the names of an actor that has ended.
func (r *Registry) forget(n *node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.names[n] {
		delete(r.refs, name)
	}
	delete(r.names, n)
}
