package queue

import (
	"strings"
	"testing"
)

func TestANameIsMadeOfAnyPath(t *testing.T) {
	for text, want := range map[string]string{
		"sweep/a.yaml":                       "sweep/a.yaml",
		" a b.yaml ":                         "a b.yaml",
		"caf\xe9/a\nb":                       `caf\xe9/a\nb`,
		"日本/\u202ea.yaml":                    `日本/\u202ea.yaml`,
		strings.Repeat("é", 100) + "/a.yaml": "..." + strings.Repeat("é", 59) + "/a.yaml",
	} {
		got := NameOf(text)
		if got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
		if problem := badName(got); problem != "" {
			t.Errorf("%q %s", got, problem)
		}
	}
}
