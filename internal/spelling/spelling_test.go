package spelling

import (
	"strings"
	"testing"
)

func TestMisspeltNamesFindTheirNeighbours(t *testing.T) {
	names := []string{"batch_size", "learning_rate", "epochs", "optimizer", "seed"}
	for got, want := range map[string]string{
		"batchsize": "batch_size", "Batch-Size": "batch_size", "bs": "batch_size", "lr": "learning_rate",
		"epoch": "epochs", "eopchs": "epochs", "optimiser": "optimizer", "sed": "seed", "learning_rat": "learning_rate",
		"x": "", "": "", "zzzzzz": "", "momentum": "", strings.Repeat("s", 1000): "",
	} {
		if near, ok := Nearest(got, names); near != want || ok != (want != "") {
			t.Errorf("Nearest(%q) = %q, %v, want %q", got, near, ok, want)
		}
	}
}

// A hostile request has ten thousand misspelt names.
func TestNearestAllocatesNothing(t *testing.T) {
	names := []string{"batch_size", "learning_rate", strings.Repeat("long_name_", 20), "Größe"}
	for _, got := range []string{"batchsiez", "Groesse", strings.Repeat("ab", 20)} {
		if n := testing.AllocsPerRun(10, func() { Nearest(got, names) }); n != 0 {
			t.Errorf("Nearest(%q): %v allocations", got, n)
		}
	}
}

func TestOnlyTheCharactersOfANameCount(t *testing.T) {
	long := strings.Repeat("a", 40)
	for _, c := range []struct{ got, name, want string }{
		{"größe", "Größe", "Größe"},
		{long, long + "bcd", long + "bcd"},
		{long, long + strings.Repeat("b", 13), long + strings.Repeat("b", 13)},
		{long, long + strings.Repeat("b", 15), ""},
		{long, long + strings.Repeat("b", 1000), ""},
		{"lr", "learning__rate_", "learning__rate_"},
		{"lrx", "learning_rate", ""},
		{"l", "learning", ""},
	} {
		if near, ok := Nearest(c.got, []string{c.name}); near != c.want || ok != (c.want != "") {
			t.Errorf("Nearest(%q, %q) = %q, %t", c.got, c.name, near, ok)
		}
	}
}

func TestAmongManyNamesOnlyACloseOneIsMeant(t *testing.T) {
	for _, c := range []struct{ got, name, want string }{
		{"file", "flip", ""},
		{"flpi", "flip", "flip"},
		{"lr", "learning_rate", "learning_rate"},
		{"wramup_stpes", "warmup_steps", "warmup_steps"},
		{"up_steps", "warmup_steps", ""},
	} {
		if near, ok := Close(c.got, []string{c.name}); near != c.want || ok != (c.want != "") {
			t.Errorf("Close(%q, %q) = %q, %t", c.got, c.name, near, ok)
		}
	}
}
