package api

import (
	"slices"
	"strings"

	"reprise/internal/spelling"
)

// FieldsNamed returns the paths of the fields of a request that a name such as
// epochs, learning-rate or lr stands for: none, one, or several that have the same
// key in different mappings.
func FieldsNamed(name string) []string {
	s := requestSchema()
	fields := s.fields("", s.at(schemaURL))
	name = strings.ReplaceAll(name, "-", "_")
	if slices.Contains(fields, name) {
		return []string{name}
	}
	if list := homes(name, fields); len(list) > 0 {
		return list
	}
	leaves := make([]string, 0, len(fields))
	for _, field := range fields {
		if leaf := field[strings.LastIndex(field, ".")+1:]; !isDiscriminator(leaf) {
			leaves = append(leaves, leaf)
		}
	}
	// A short name is near many that it has nothing to do with, but for initials.
	const least = 6
	near, ok := spelling.Nearest(name, leaves)
	if !ok || len(name) < least && strings.Count(near, "_") != len(name)-1 {
		return nil
	}
	return homes(near, fields)
}
