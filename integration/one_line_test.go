package integration

import "testing"

func TestAReasonIsOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"the disk is full; free some": "the disk is full; free some",
		"a could not be fetched:\n  http://b: refused\nSet GOPROXY. Or run\n  go mod download c\nand copy d to\n  /e": "a could not be fetched: http://b: refused. Set GOPROXY. Or run go mod download c and copy d to /e",
		"it failed:\n\n  Panic in a layer": "it failed: Panic in a layer",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}
