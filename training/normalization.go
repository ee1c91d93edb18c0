package training

import (
	"fmt"

	"reprise/fault"
	"reprise/nn"
)

// CheckNormalization fails if a normalisation has a single value to normalise: its
// output is the same for every sample, so nothing is learned, and the running
// variance of a batch_norm decays to 0. It is for new runs: a run that was recorded
// is resumed and verified as it was. It fails with all normalizations that are wrong,
// but with a batch size or shards that are too small for several of them once.
func CheckNormalization(arch nn.Architecture, h Hyperparameters, samples int) error {
	list, err := arch.Normalizations()
	if err != nil {
		return err
	}
	var errs []error
	batch := false
	for _, n := range list {
		if n.Type != (nn.BatchNorm{}).Type() {
			if n.Values == 1 {
				errs = append(errs, &nn.LayerError{Index: n.Layer, Layer: n.Type, Field: "input", Got: "1 value wide",
					Want: "at least 2 values to normalize over", Fix: "make the layer before it wider, or remove the normalization"})
			}
			continue
		}
		if batch || h.BatchSize < 1 {
			continue
		}
		if err := h.checkBatchNorm(n, samples); err != nil {
			errs, batch = append(errs, err), true
		}
	}
	return join(errs)
}

// checkBatchNorm fails if a shard of some batch leaves a batch_norm one value per
// channel.
func (h Hyperparameters) checkBatchNorm(n nn.Normalization, samples int) error {
	where := fmt.Sprintf("%s (layer %d)", n.Type, n.Layer)
	const one = "a single value per channel, from which nothing is learned"
	whole, last := h.smallestShard(samples)
	switch {
	case h.BatchSize*n.Values < 2:
		return &fault.FieldError{Field: "config.batch_size", Value: fmt.Sprint(h.BatchSize), Problem: "leaves " + where + " " + one,
			Fix: h.betterBatch(n, samples)}
	case whole*n.Values < 2:
		return &fault.FieldError{Field: "config.shards", Value: fmt.Sprint(h.Shards),
			Problem: fmt.Sprintf("cuts a batch of %d into parts of %d, and leaves %s %s", h.BatchSize, whole, where, one),
			Fix:     fmt.Sprintf("use at most %d, or a larger batch_size", h.BatchSize/2)}
	case last > 0 && last*n.Values < 2:
		rest := samples % h.BatchSize
		problem := fmt.Sprintf("leaves a last batch of %d of the %d training samples, and with it %s %s", rest, samples, where, one)
		if rest > 1 {
			problem = fmt.Sprintf("leaves a last batch of %d of the %d training samples, in whose %d shards %s has %s", rest, samples, min(h.Shards, rest), where, one)
		}
		return &fault.FieldError{Field: "config.batch_size", Value: fmt.Sprint(h.BatchSize), Problem: problem, Fix: h.betterBatch(n, samples)}
	}
	return nil
}

// smallestShard returns the samples in the smallest shard of a whole batch, and
// of the smaller batch that an epoch may end with; 0 if it does not.
func (h Hyperparameters) smallestShard(samples int) (whole, last int) {
	shards := max(h.Shards, 1)
	if rest := samples % h.BatchSize; rest > 0 {
		last = rest / min(shards, rest)
	}
	return h.BatchSize / shards, last
}

// betterBatch names the batch size nearest to the present one that leaves a
// batch_norm enough values.
func (h Hyperparameters) betterBatch(n nn.Normalization, samples int) string {
	fits := func(size int) bool {
		h.BatchSize = size
		if size < max(h.Shards, 1) || h.StepSamples() > samples {
			return false
		}
		whole, last := h.smallestShard(samples)
		return whole*n.Values >= 2 && (last == 0 || last*n.Values >= 2)
	}
	size := h.BatchSize
	for d := 1; d < samples; d++ {
		for _, candidate := range []int{size - d, size + d} {
			if candidate >= 2 && fits(candidate) {
				return fmt.Sprintf("use a batch_size of %d, or leave %s out", candidate, n.Type)
			}
		}
	}
	return "leave " + n.Type + " out, or use more data"
}
