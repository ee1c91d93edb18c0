package training

import (
	"errors"
	"strings"
	"testing"

	"reprise/fault"
)

func TestARunIDIsTheNameOfOneFolder(t *testing.T) {
	for _, id := range []RunID{"0f1e2d3c4b5a69788796a5b4c3d2e1f0", "run-1", "a", "7", "r_1-", "console", "com", "com10", RunID(strings.Repeat("a", maxRunID))} {
		if err := id.Validate(); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []RunID{
		"", ".", "..", "../../pwned", "/etc", "a/b", `a\b`, `..\..\pwned`, "C:", "a:b", ".hidden", "a.b", "-rf", "_",
		"a b", "a\x00", "a\nb", "a\x1b[31m", "ä", "A", "con", "nul", "com1", "lpt9", "aux", "prn", "a*", "~", "$HOME",
		"a\u202eb", "\xff", RunID(strings.Repeat("a", maxRunID+1)), RunID(strings.Repeat("../", 1000)),
	} {
		var bad *fault.FieldError
		if err := id.Validate(); !errors.As(err, &bad) || bad.Field != "run_id" || len(err.Error()) > 500 {
			t.Errorf("%.80q: %v", id, err)
		}
	}
}
