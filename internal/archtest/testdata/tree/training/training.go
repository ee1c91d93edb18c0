// Package training touches what pure rules must not.
package training

import (
	crand "crypto/rand" // want bans "crypto/rand is not for training: ids are injected"
	"math"
	"math/rand/v2" // want bans "randomness is counter-based"
	"net/http"     // want bans "pure rules touch neither files nor network"
	"os"           // want bans "pure rules touch neither files nor network"
	clock "time"

	"reprise/actor"      // want bans "the rules of training are pure" want layers "training may not import actor"
	"reprise/eventstore" // want bans "the rules of training are pure" want layers "training may not import eventstore"
)

// Step is a number.
var Step float64 // want globals "it has no value until somebody sets it"

// Now reads the clock, under another name of its package.
func Now() any {
	_, _ = crand.Read(nil)
	_ = rand.Int()
	_ = http.MethodGet
	_ = actor.X
	_ = eventstore.X
	_ = os.Getenv("HOME") // want bans "the environment is read in cmd"
	when := clock.Now     // want bans "time.Now is not for training: times come in" want bans "the clock is injected"
	_ = clock.Second
	return when
}

// Decay has a local variable with a package's name.
func Decay(x float64) float64 {
	math := twin{}
	return math.Exp(x)
}

// Warm uses the platform's exponential.
func Warm(x float64) float64 {
	return math.Sqrt(x) / math.Exp(x) // want bans "math.Exp is not for training: its bits vary"
}

type twin struct{}

func (twin) Exp(x float64) float64 { return x }
