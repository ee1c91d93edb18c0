package cpu

// How instructions over rows divide their work and their scratch memory.

// columns is ranges over the columns of an array of m rows. There are as few
// parts as threads, so that each reads long runs of a row, and they begin at
// multiples of a cache line.
func (b *binder) columns(m, n int, do func(lo, hi int)) func() {
	const line = 16
	lines := ceilDiv(ceilDiv(n, line), b.pool.Threads())
	return b.ranges(n, max(lines, cheapGrain/(m*line))*line, do)
}

// workerRanges is ranges for a do that needs scratch memory: two calls with the
// same worker, which is below Threads(), are never made at the same time.
func (b *binder) workerRanges(n, grain int, do func(worker, lo, hi int)) func() {
	parts := ceilDiv(n, grain)
	if parts <= 1 || b.pool.Threads() == 1 {
		return func() { do(0, 0, n) }
	}
	part := func(worker, i int) { do(worker, i*grain, min((i+1)*grain, n)) }
	return func() { b.pool.RunWorkers(parts, part) }
}

// scratches divides the scratch memory of a step into parts of the given sizes,
// each at a multiple of a cache line from the first. They are nil in binder's
// first pass.
func (b *binder) scratches(sizes ...int) [][]float32 {
	const line = 16
	total := 0
	for _, n := range sizes {
		total += ceilDiv(n, line) * line
	}
	parts, rest := make([][]float32, len(sizes)), b.scratch(total)
	if len(rest) < total {
		return parts
	}
	for i, n := range sizes {
		parts[i], rest = rest[:n:n], rest[ceilDiv(n, line)*line:]
	}
	return parts
}

// rowGrain is the number of rows of n elements, with several passes over each,
// below which a second thread does not pay off.
func rowGrain(n int) int { return max(1, cheapGrain/(4*n)) }

// row returns row i of an array with n columns.
func row(x []float32, i, n int) []float32 { return x[i*n : (i+1)*n] }
