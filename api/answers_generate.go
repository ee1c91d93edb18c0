package api

import (
	"errors"
	"strconv"

	"reprise/fault"
	"reprise/inference"
)

// GenerateRequest asks to continue a prompt.
type GenerateRequest struct {
	Run string `json:"run"`
	// Prompt is the text to continue.
	Prompt Text `json:"prompt,omitempty"`
	// Tokens is how many to write, at least 1.
	Tokens int `json:"tokens"`
	// Step is the step of the checkpoint to use, Best means the one with the best
	// monitored figure. Without both it is the last one.
	Step *uint64 `json:"step,omitempty"`
	Best bool    `json:"best,omitempty"`
	// Temperature below 1 makes likely tokens likelier; 0 always takes the likeliest,
	// and nothing else may be said about the choice then.
	Temperature float64 `json:"temperature,omitempty"`
	// TopK keeps only that many of the likeliest tokens; 0 keeps all.
	TopK int `json:"top_k,omitempty"`
	// TopP keeps only the likeliest tokens that together reach that probability; 0 and
	// 1 keep all.
	TopP float64 `json:"top_p,omitempty"`
	// Seed keys the draws: the same seed gives the same text.
	Seed uint64 `json:"seed,omitempty"`
}

// GeneratedText is a piece of a text.
type GeneratedText struct {
	Text Text `json:"text"`
}

// Sampling returns how the request has tokens drawn.
func (r GenerateRequest) Sampling() inference.Sampling {
	return inference.Sampling{Temperature: r.Temperature, TopK: r.TopK, TopP: r.TopP, Seed: r.Seed}
}

// Validate fails with a *fault.FieldError for each value out of range, and for each
// that another one makes useless, joined.
func (r GenerateRequest) Validate() error {
	var errs []error
	if err := checkChoice(r.Step, r.Best); err != nil {
		errs = append(errs, err)
	}
	switch {
	case r.Tokens < 0:
		errs = append(errs, &fault.FieldError{Field: "tokens", Value: strconv.Itoa(r.Tokens), Problem: "must not be negative", Fix: "use a number such as 400"})
	case r.Tokens == 0:
		errs = append(errs, &fault.FieldError{Field: "tokens", Value: "0", Problem: "writes nothing", Fix: "use a number such as 400"})
	}
	errs = append(errs, fault.Parts(r.Sampling().Validate())...)
	if r.Temperature == 0 {
		for _, option := range []struct {
			field, value string
			given        bool
		}{
			{"top_k", strconv.Itoa(r.TopK), r.TopK > 0},
			{"top_p", strconv.FormatFloat(r.TopP, 'g', -1, 64), r.TopP > 0 && r.TopP <= 1},
			{"seed", strconv.FormatUint(r.Seed, 10), r.Seed > 0},
		} {
			if option.given {
				errs = append(errs, &fault.FieldError{Field: option.field, Value: option.value,
					Problem: "has no effect with a temperature of 0, which always takes the likeliest token", Fix: "leave one of them out"})
			}
		}
	}
	return errors.Join(errs...)
}
