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
