package cpu

// The portable loops of elementKernels that belong to the normalisations. FMA32
// is written out, because the compiler does not inline it.

func squareColumns(out, x, mean []float32, rows, stride int) {
	clear(out)
	mean = mean[:len(out)]
	for i := range rows {
		for j, v := range x[i*stride : i*stride+len(out)] {
			d := float64(v - mean[j])
			r := float64(out[j])
			t := float64(d*d) + r
			if roundsTwice(t) {
				t = fmaOdd(d, d, r)
			}
			out[j] = float32(t)
		}
	}
}

func batchGainGrad(out, x, dy, mean, invStd []float32, rows, stride int) {
	clear(out)
	mean, invStd = mean[:len(out)], invStd[:len(out)]
	for i := range rows {
		dy := dy[i*stride : i*stride+len(out)]
		for j, v := range x[i*stride : i*stride+len(out)] {
			p, q, r := float64(float32((v-mean[j])*invStd[j])), float64(dy[j]), float64(out[j])
			t := float64(p*q) + r
			if roundsTwice(t) {
				t = fmaOdd(p, q, r)
			}
			out[j] = float32(t)
		}
	}
}

func layerGainGrad(out, x, dy, mean, invStd []float32, rows, stride int) {
	clear(out)
	for i := range rows {
		var m float32
		if mean != nil {
			m = mean[i]
		}
		inv, dy := invStd[i], dy[i*stride:i*stride+len(out)]
		for j, v := range x[i*stride : i*stride+len(out)] {
			p, q, r := float64(float32((v-m)*inv)), float64(dy[j]), float64(out[j])
			t := float64(p*q) + r
			if roundsTwice(t) {
				t = fmaOdd(p, q, r)
			}
			out[j] = float32(t)
		}
	}
}

func center(h, x []float32, mean, invStd float32) {
	h = h[:len(x)]
	for i, v := range x {
		h[i] = float32((v - mean) * invStd)
	}
}

func layerGrad(dx, h []float32, a, b, invStd float32) {
	dx = dx[:len(h)]
	q := float64(-b)
	for i, v := range h {
		p, r := float64(v), float64(dx[i]-a)
		t := float64(p*q) + r
		if roundsTwice(t) {
			t = fmaOdd(p, q, r)
		}
		dx[i] = float32(float32(t) * invStd)
	}
}

func batchNormal(y, x, mean, invStd, gain, bias []float32) {
	y, mean, invStd = y[:len(x)], mean[:len(x)], invStd[:len(x)]
	gain, bias = gain[:len(x)], bias[:len(x)]
	for i, v := range x {
		p, q, r := float64(float32((v-mean[i])*invStd[i])), float64(gain[i]), float64(bias[i])
		t := float64(p*q) + r
		if roundsTwice(t) {
			t = fmaOdd(p, q, r)
		}
		y[i] = float32(t)
	}
}

func batchGrad(dx, x, dy, mean, invStd, a, b, gain []float32) {
	dx, dy, mean, invStd = dx[:len(x)], dy[:len(x)], mean[:len(x)], invStd[:len(x)]
	a, b, gain = a[:len(x)], b[:len(x)], gain[:len(x)]
	for i, v := range x {
		p, q, r := float64(-float32((v-mean[i])*invStd[i])), float64(b[i]), float64(dy[i]-a[i])
		t := float64(p*q) + r
		if roundsTwice(t) {
			t = fmaOdd(p, q, r)
		}
		dx[i] = float32(float32(t) * gain[i])
	}
}
