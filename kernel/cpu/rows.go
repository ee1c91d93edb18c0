package cpu

// rowKernels are the operations over rows that the instructions of layers are
// made of.
//
// Slices of a call are as long as the second one where nothing else is said.
// The first one is the result and may be one of the others, but must not overlap
// them otherwise. Every operation rounds on its own, except fma(a, b, c), which
// rounds a*b + c once.
type rowKernels struct {
	add      func(y, a, b []float32)                            // y = a + b
	subtract func(y, a, b []float32)                            // y = a - b
	multiply func(y, a, b []float32)                            // y = a * b
	fma      func(y, a, b, c []float32)                         // y = fma(a, b, c)
	addTo    func(y, x []float32, s float32)                    // y = x + s
	scale    func(y, x []float32, s float32)                    // y = x * s
	axpy     func(y, x []float32, a float32)                    // y = fma(a, x, y)
	affine   func(y, x, gain, bias []float32, s float32)        // y = fma(x*s, gain, bias)
	dropout  func(y, x []float32, mask *dropoutMask, at uint64) // dropout.go

	// Sums in 16 lanes: lane j%16 takes the elements j in ascending order, from
	// +0; then lane l takes lane l+8 for l < 8, l+4 for l < 4, l+2 and l+1.
	sum        func(x []float32) float32    // lane = lane + x
	sumSquares func(x []float32) float32    // lane = fma(x, x, lane)
	dot        func(x, y []float32) float32 // lane = fma(x, y, lane)

	// Chains over ascending row: out[j] = x[j] + x[stride+j] + ... from +0.
	sumColumns func(out, x []float32, rows, stride int)
	// out[j] = fma(a[i*stride+j], b[i*stride+j], out[j]) for each row i.
	fmaColumns func(out, a, b []float32, rows, stride int)
}

func portableRows() rowKernels {
	return rowKernels{
		add: rowAdd, subtract: rowSubtract, multiply: rowMultiply, fma: rowFMA,
		addTo: rowAddTo, scale: rowScale, axpy: rowAxpy, affine: rowAffine, dropout: rowDropout,
		sum: laneSum, sumSquares: laneSquares, dot: laneDot,
		sumColumns: columnSum, fmaColumns: columnFMA,
	}
}

func rowAdd(y, a, b []float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = v + b[i]
	}
}

func rowSubtract(y, a, b []float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = v - b[i]
	}
}

func rowMultiply(y, a, b []float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = float32(v * b[i])
	}
}

// In this loop and the others below, FMA32 is written out, since the compiler
// does not inline it.
func rowFMA(y, a, b, c []float32) {
	y, b, c = y[:len(a)], b[:len(a)], c[:len(a)]
	for i, v := range a {
		p, q, r := float64(v), float64(b[i]), float64(c[i])
		t := float64(p*q) + r
		if roundsTwice(t) {
			t = fmaOdd(p, q, r)
		}
		y[i] = float32(t)
	}
}

func rowAddTo(y, x []float32, s float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = v + s
	}
}

func rowScale(y, x []float32, s float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = float32(v * s)
	}
}

func rowAxpy(y, x []float32, a float32) {
	y = y[:len(x)]
	p := float64(a)
	for i, v := range x {
		q, r := float64(v), float64(y[i])
		t := float64(p*q) + r
		if roundsTwice(t) {
			t = fmaOdd(p, q, r)
		}
		y[i] = float32(t)
	}
}

func rowAffine(y, x, gain, bias []float32, s float32) {
	y, gain, bias = y[:len(x)], gain[:len(x)], bias[:len(x)]
	for i, v := range x {
		p, q, r := float64(float32(v*s)), float64(gain[i]), float64(bias[i])
		t := float64(p*q) + r
		if roundsTwice(t) {
			t = fmaOdd(p, q, r)
		}
		y[i] = float32(t)
	}
}

// laneTree adds the lanes up; it overwrites them.
func laneTree(lane *[16]float32) float32 {
	for d := len(lane) / 2; d > 0; d /= 2 {
		for l := range d {
			lane[l] += lane[l+d]
		}
	}
	return lane[0]
}

func laneSum(x []float32) float32 {
	var lane [16]float32
	n := len(x) &^ 15
	if n > 0 {
		laneChains((*[8]float32)(lane[:]), x[:n])
		laneChains((*[8]float32)(lane[8:]), x[8:n])
	}
	for l, v := range x[n:] {
		lane[l] += v
	}
	return laneTree(&lane)
}

// laneChains adds the first eight of every sixteen elements to as many lanes:
// sixteen would not stay in registers. The length of x is a multiple of eight.
func laneChains(lane *[8]float32, x []float32) {
	l0, l1, l2, l3, l4, l5, l6, l7 := lane[0], lane[1], lane[2], lane[3], lane[4], lane[5], lane[6], lane[7]
	for ; len(x) >= 8; x = x[min(16, len(x)):] {
		v := (*[8]float32)(x)
		l0 += v[0]
		l1 += v[1]
		l2 += v[2]
		l3 += v[3]
		l4 += v[4]
		l5 += v[5]
		l6 += v[6]
		l7 += v[7]
	}
	*lane = [8]float32{l0, l1, l2, l3, l4, l5, l6, l7}
}

func laneSquares(x []float32) float32 { return laneDot(x, x) }

func laneDot(x, y []float32) float32 {
	var lane [16]float32
	y = y[:len(x)]
	for ; len(x) >= 16; x, y = x[16:], y[16:] {
		a, b := (*[16]float32)(x), (*[16]float32)(y)
		for l := range lane {
			p, q, r := float64(a[l]), float64(b[l]), float64(lane[l])
			t := float64(p*q) + r
			if roundsTwice(t) {
				t = fmaOdd(p, q, r)
			}
			lane[l] = float32(t)
		}
	}
	for l, v := range x {
		lane[l] = FMA32(v, y[l], lane[l])
	}
	return laneTree(&lane)
}

func columnSum(out, x []float32, rows, stride int) {
	clear(out)
	for i := range rows {
		for j, v := range x[i*stride : i*stride+len(out)] {
			out[j] += v
		}
	}
}

func columnFMA(out, a, b []float32, rows, stride int) {
	for i := range rows {
		rowFMA(out, a[i*stride:i*stride+len(out)], b[i*stride:i*stride+len(out)], out)
	}
}

// columns is ranges over the columns of an array of m rows. Parts are as few as
// there are threads, for each to read long runs of a row, and begin at multiples
// of a cache line.
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
// below which a second thread does not pay.
func rowGrain(n int) int { return max(1, cheapGrain/(4*n)) }

// row returns row i of an array with n columns.
func row(x []float32, i, n int) []float32 { return x[i*n : (i+1)*n] }
