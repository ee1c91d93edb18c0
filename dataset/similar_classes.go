package dataset

import (
	"fmt"
	"strings"
)

// SimilarClasses says which classes have names that differ only in case or spaces, as
// after a slip in a table; "" for none.
func SimilarClasses(names []string) string {
	first, similar := map[string]string{}, []string{}
	for _, name := range names {
		key := strings.ToLower(strings.Join(strings.Fields(name), " "))
		if other, ok := first[key]; ok {
			similar = append(similar, fmt.Sprintf("%q and %q", other, name))
			continue
		}
		first[key] = name
	}
	const most = 3
	if n := len(similar) - most; n > 0 {
		similar = append(similar[:most], fmt.Sprintf("%d more pairs", n))
	}
	if len(similar) == 0 {
		return ""
	}
	return "these names of classes differ only in case or spaces, and are classes of their own: " + strings.Join(similar, ", ") +
		"; write them alike if they mean the same"
}
