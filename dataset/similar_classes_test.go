package dataset

import (
	"strings"
	"testing"
)

func TestClassesThatLookAlikeAreNamed(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"Cat", "Dog", "cat"}, `"Cat" and "cat"`},
		{[]string{"new  york", "New York"}, `"new  york" and "New York"`},
		{[]string{"É", "é"}, `"É" and "é"`},
		{[]string{"A", "B", "C", "D", "E", "a", "b", "c", "d", "e"}, `"A" and "a", "B" and "b", "C" and "c", 2 more pairs;`},
		{[]string{"cat", "cats", "0", "1"}, ""},
		{nil, ""},
	} {
		if got := SimilarClasses(c.names); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q: %q, want %q", c.names, got, c.want)
		}
	}
}
