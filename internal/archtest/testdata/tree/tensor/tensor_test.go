package tensor

import (
	"math/rand"
	"os"
	"time"

	"reprise/training"
)

// Tests may do all this.
var counter int

func init() {
	counter = rand.Int()
	time.Sleep(1)
	os.Exit(int(training.Step))
}
