package inference

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strconv"

	"reprise/fault"
	"reprise/internal/detmath"
	"reprise/internal/philox"
)

// Sampling says how the next token is drawn from a model's logits.
type Sampling struct {
	// Temperature divides the logits: below 1 likely tokens become likelier; 0
	// always takes the likeliest (the first of equal ones).
	Temperature float64
	// TopK keeps only that many of the likeliest tokens; 0 keeps all.
	TopK int
	// TopP keeps only the likeliest tokens whose probabilities reach that sum
	// (Holtzman et al., 2020); 0 and 1 keep all.
	TopP float64
	// Seed keys the draws.
	Seed uint64
}

// Validate fails with a *fault.FieldError for each value out of range, joined.
func (s Sampling) Validate() error {
	var errs []error
	if !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0) {
		errs = append(errs, &fault.FieldError{Field: "temperature", Value: formatFloat(s.Temperature), Problem: "must be a number of at least 0", Fix: "use one such as 0.8"})
	}
	if s.TopK < 0 {
		errs = append(errs, &fault.FieldError{Field: "top_k", Value: strconv.Itoa(s.TopK), Problem: "must be at least 0", Fix: "use 0 to keep all tokens"})
	}
	if !(s.TopP >= 0 && s.TopP <= 1) {
		errs = append(errs, &fault.FieldError{Field: "top_p", Value: formatFloat(s.TopP), Problem: "must be in [0, 1]", Fix: "use 0 or 1 to keep all tokens"})
	}
	return errors.Join(errs...)
}

func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// candidate is a token that may be drawn, with its weight.
type candidate struct {
	token  int32
	logit  float64
	weight float64
}

// Next returns the token for a position in the text, counted from 0. logits has
// one value for each token of the vocabulary, at least one, none of them NaN.
//
// Candidates are the tokens in descending order of logit, then ascending order
// of token. Their weights exp((logit-max)/Temperature) are summed in that order
// in float64; the token drawn is the first at which the sum exceeds u times the
// whole, u from 53 bits of philox.Block(Seed, PurposeSample, place, 0).
func (s Sampling) Next(logits []float32, place uint64) int32 {
	candidates := make([]candidate, len(logits))
	for i, v := range logits {
		candidates[i] = candidate{token: int32(i), logit: float64(v)}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.logit, a.logit) })
	if s.Temperature == 0 {
		return candidates[0].token
	}
	if s.TopK > 0 {
		candidates = candidates[:min(s.TopK, len(candidates))]
	}
	total := 0.0
	for i := range candidates {
		c := &candidates[i]
		c.weight = detmath.Exp((c.logit - candidates[0].logit) / s.Temperature)
		total += c.weight
	}
	if s.TopP > 0 && s.TopP < 1 {
		candidates, total = nucleus(candidates, float64(total*s.TopP))
	}
	w := philox.Block(s.Seed, philox.PurposeSample, place, 0)
	u := float64(float64(uint64(w[0])<<21|uint64(w[1])>>11) * 0x1p-53)
	sum := 0.0
	for _, c := range candidates {
		sum += c.weight
		if sum > float64(u*total) {
			return c.token
		}
	}
	return candidates[len(candidates)-1].token
}

// nucleus returns the first candidates whose weights reach a sum, and that sum.
func nucleus(candidates []candidate, reach float64) ([]candidate, float64) {
	sum := 0.0
	for i, c := range candidates {
		sum += c.weight
		if sum >= reach {
			return candidates[:i+1], sum
		}
	}
	return candidates, sum
}
