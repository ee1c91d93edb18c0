package cpu

// The portable loops of elementKernels that belong to no single instruction.

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

func axpy(y, x []float32, a float32) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = FMA32(a, v, y[i])
	}
}

func affine(y, x, gain, bias []float32, s float32) {
	y, gain, bias = y[:len(x)], gain[:len(x)], bias[:len(x)]
	for i, v := range x {
		y[i] = FMA32(float32(v*s), gain[i], bias[i])
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
	for j, v := range x {
		l[j%16] += v
	}
	return l.total()
}

func sumSquares(x []float32) float32 { return dot(x, x) }

func dot(x, y []float32) float32 {
	var l lanes
	y = y[:len(x)]
	for j, v := range x {
		l[j%16] = FMA32(v, y[j], l[j%16])
	}
	return l.total()
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

func sumColumns(out, x []float32, rows, stride int) {
	clear(out)
	for i := range rows {
		for j, v := range x[i*stride : i*stride+len(out)] {
			out[j] += v
		}
	}
}
