package service

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"reprise/api"
	"reprise/eventstore"
	"reprise/fault"
	"reprise/internal/disk"
	"reprise/internal/figures"
	"reprise/internal/spelling"
	"reprise/journal"
)

// checkTail fails where no event passes the filters of a request, whatever happens: an event
// of that type or aggregate does not exist. What this version does not know passes if the log
// has it, from another version.
func (s *Service) checkTail(ctx context.Context, q api.TailRequest) error {
	wrongType := beginsNone("type", q.Type, journal.EventTypes(), "type of an event", api.TailRequest{Type: q.Type})
	wrongAggregate := beginsNone("aggregate", string(q.Aggregate), journal.AggregatePrefixes(), "kind of aggregate", api.TailRequest{Aggregate: q.Aggregate})
	var errs []error
	for _, w := range []*unknownFilter{wrongType, wrongAggregate} {
		if w == nil {
			continue
		}
		has, err := s.logHas(ctx, w.alone)
		switch {
		case err != nil:
			return err
		case !has:
			errs = append(errs, w.err)
		}
	}
	return joined(errs)
}

// unknownFilter is a filter that nothing passes which this version knows.
type unknownFilter struct {
	alone api.TailRequest // the request with this filter only
	err   error
}

// beginsNone returns what is wrong with a filter by the beginning of a name; nil if it is
// that of a known one.
func beginsNone(field, prefix string, known []string, what string, alone api.TailRequest) *unknownFilter {
	names := make([]string, len(known)) // as they are written without a version or the name of an instance
	for i, k := range known {
		if strings.HasPrefix(k, prefix) || strings.HasSuffix(k, "/") && strings.HasPrefix(prefix, k) {
			return nil
		}
		names[i] = k
		if at := strings.LastIndex(k, ".v"); at > 0 {
			names[i] = k[:at]
		}
	}
	fix := "use the beginning of one, such as " + figures.Or(groupsOf(names))
	if near, ok := nearestName(prefix, names); ok {
		fix = "did you mean " + near + "?"
	}
	return &unknownFilter{alone, &fault.FieldError{Field: field, Value: strconv.Quote(prefix), Problem: "is not the beginning of any " + what, Fix: fix}}
}

// nearestName returns the name that was meant: one that only lacks its group, or the nearest.
func nearestName(given string, names []string) (string, bool) {
	parts := make([]string, 0, len(names))
	for _, name := range names {
		_, part, ok := strings.Cut(name, ".")
		if ok && strings.HasPrefix(part, given) {
			return name, true
		}
		if ok {
			parts = append(parts, part)
		}
	}
	if near, ok := spelling.Nearest(given, names); ok {
		return near, true
	}
	near, ok := spelling.Close(given, parts)
	for _, name := range names {
		if ok && strings.HasSuffix(name, "."+near) {
			return name, true
		}
	}
	return "", false
}

// groupsOf returns what sorted names have before the first dot, each once, with the dot.
func groupsOf(names []string) (groups []string) {
	for _, name := range names {
		if group, _, ok := strings.Cut(name, "."); ok {
			name = group + "."
		}
		if len(groups) == 0 || groups[len(groups)-1] != name {
			groups = append(groups, name)
		}
	}
	return groups
}

// errFound ends a walk.
var errFound = errors.New("found")

// logHas reports whether the log has an event that passes the filters of a request; false
// where there is no log yet.
func (s *Service) logHas(ctx context.Context, q api.TailRequest) (bool, error) {
	if !disk.Exists(s.workspace.EventsPath()) {
		return false, nil
	}
	log, err := s.read(ctx)
	if err != nil {
		return false, err
	}
	defer log.close()
	wanted, err := filterOf(ctx, log, q)
	if err != nil {
		return false, err
	}
	_, err = eventstore.Walk(ctx, log, 0, eventstore.End, func(e eventstore.Event) error {
		if wanted(e) {
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}
