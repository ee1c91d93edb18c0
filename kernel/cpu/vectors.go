package cpu

import "math"

// The portable loops of elementKernels that do not belong to a single
// instruction.

// each returns y[i] = f(x[i]).
func each(f func(float32) float32) func(y, x []float32) {
	return func(y, x []float32) {
		y = y[:len(x)]
		for i, v := range x {
			y[i] = f(v)
		}
	}
}

// eachGrad returns dx[i] = dy[i] * derivative(x[i]).
func eachGrad(derivative func(float32) float32) func(dx, x, dy []float32) {
	return func(dx, x, dy []float32) {
		dx, x = dx[:len(dy)], x[:len(dy)]
		for i, v := range dy {
			dx[i] = float32(v * derivative(x[i]))
		}
	}
}

func addVectors(y, a, b []float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = v + b[i]
	}
}

func subtractVectors(y, a, b []float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = v - b[i]
	}
}

func multiplyVectors(y, a, b []float32) {
	y, b = y[:len(a)], b[:len(a)]
	for i, v := range a {
		y[i] = float32(v * b[i])
	}
}

func addScalar(y, x []float32, s float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = v + s
	}
}

func scaleVector(y, x []float32, s float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = float32(v * s)
	}
}

func divideVector(y, x []float32, s float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = v / s
	}
}

// In this loop and the others below, FMA32 is written out, because the compiler
// does not inline it.
func axpy(y, x []float32, a float32) {
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

func affine(y, x, gain, bias []float32, s float32) {
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

func argmax(x []float32) int {
	best := 0
	for j, v := range x {
		if v != v {
			return j
		}
		if v > x[best] {
			best = j
		}
	}
	return best
}

// lanes are the accumulators of a row's sum; see elementKernels.
type lanes [16]float32

func (l *lanes) total() float32 {
	for d := len(l) / 2; d > 0; d /= 2 {
		for i := range d {
			l[i] += l[i+d]
		}
	}
	return l[0]
}

func sumLanes(x []float32) float32 {
	var l lanes
	n := len(x) &^ 15
	if n > 0 {
		laneChains((*[8]float32)(l[:]), x[:n])
		laneChains((*[8]float32)(l[8:]), x[8:n])
	}
	for i, v := range x[n:] {
		l[i] += v
	}
	return l.total()
}

// laneChains adds the first eight of every sixteen elements to eight lanes:
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

func sumSquares(x []float32) float32 { return dot(x, x) }

func dot(x, y []float32) float32 {
	var lane lanes
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
	return lane.total()
}

func sumExp(e, x []float32, top float32) float32 {
	var l lanes
	if e != nil {
		e = e[:len(x)]
	}
	for j, v := range x {
		t := exp32(v - top)
		if e != nil {
			e[j] = t
		}
		l[j%16] += t
	}
	return l.total()
}

func sumShifted(x []float32, top float32) float32 {
	var l lanes
	for j, v := range x {
		l[j%16] += v - top
	}
	return l.total()
}

func softmaxGrad(grad []float32, sum, share, scale float32) {
	for j, e := range grad {
		grad[j] = float32((e/sum - share) * scale)
	}
}

func sumColumns(out, x []float32, rows, stride int) {
	clear(out)
	for i := range rows {
		for j, v := range x[i*stride : i*stride+len(out)] {
			out[j] += v
		}
	}
}

// scaleMax multiplies x by scale and returns the maximum of the products: +0 for
// a zero of either sign, without the NaNs, and -Inf if there is nothing else.
func scaleMax(x []float32, scale float32) float32 {
	top := float32(math.Inf(-1))
	for j, z := range x {
		s := float32(z * scale)
		x[j] = s
		if s > top {
			top = s
		}
	}
	return top + 0
}

// scoreGrad turns dp into the gradient of the scores.
func scoreGrad(dp, p []float32, c, scale float32) {
	p = p[:len(dp)]
	for j, v := range dp {
		dp[j] = float32(float32(p[j]*(v-c)) * scale)
	}
}
