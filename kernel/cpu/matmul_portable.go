package cpu

// portableVariant is the product in Go: tiles of 2 rows by 4 columns, so that
// eight chains overlap and stay in registers, and of 1 by 8 for a single row.
func portableVariant() matMulVariant {
	return matMulVariant{
		name: "portable", level: LevelNone,
		tile:    tileKernel{rows: 2, cols: 4, depth: 512, vector: 4, run: tile2x4},
		thin:    tileKernel{rows: 1, cols: 8, depth: 512, vector: 8, run: tile1x8},
		packing: packing{transpose4: transpose4}, depthwise: depthwise, hasNegativeZero: hasNegativeZero,
	}
}

// tile2x4 runs the chains with steps2x4 and takes over whenever that stops.
func tile2x4(rows, _ int, a *gathered, b []float32, ldb int, s []float32, lds int, c []float32, ldc int) {
	var x [8]float64
	for e := range 4 * rows {
		x[e] = float64(s[e/4*lds+e%4])
	}
	for s := 0; s < len(a.seg) && a.length > 0; s++ {
		at := a.seg[s]
		a0, a1 := a.x[a.off[0]+at:], a.x[a.off[rows-1]+at:]
		for p := 0; p < a.length; p++ {
			var e int
			if p, e = steps2x4(&x, p, a.length, a0, a1, a.step, b, ldb); p == a.length {
				break
			}
			for ; e < len(x); e++ {
				v := a0[p*a.step]
				if e >= 4 {
					v = a1[p*a.step]
				}
				x[e] = float64(FMA32(v, b[p*ldb+e%4], float32(x[e])))
			}
		}
		b = b[min(a.length*ldb, len(b)):]
	}
	for e := range 4 * rows {
		c[e/4*ldc+e%4] = float32(x[e])
	}
}

// steps2x4 advances the eight chains x from step p on for as long as rounding
// twice is harmless. It returns k, or the step and the chain that need fmaOdd;
// the chains before that one have taken the step, the others not. It is a
// separate function without calls, so that the compiler spills nothing.
func steps2x4(x *[8]float64, p, k int, row0, row1 []float32, lda int, b []float32, ldb int) (step, chain int) {
	x0, x1, x2, x3, x4, x5, x6, x7 := x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
	e := 0
	for ; p < k; p++ {
		bp := b[p*ldb : p*ldb+4 : p*ldb+4]
		b0, b1, b2, b3 := float64(bp[0]), float64(bp[1]), float64(bp[2]), float64(bp[3])
		a0 := float64(row0[p*lda])
		t0 := float64(a0*b0) + x0
		if roundsTwice(t0) {
			e = 0
			break
		}
		x0 = float64(float32(t0))
		t1 := float64(a0*b1) + x1
		if roundsTwice(t1) {
			e = 1
			break
		}
		x1 = float64(float32(t1))
		t2 := float64(a0*b2) + x2
		if roundsTwice(t2) {
			e = 2
			break
		}
		x2 = float64(float32(t2))
		t3 := float64(a0*b3) + x3
		if roundsTwice(t3) {
			e = 3
			break
		}
		x3 = float64(float32(t3))
		a1 := float64(row1[p*lda])
		t4 := float64(a1*b0) + x4
		if roundsTwice(t4) {
			e = 4
			break
		}
		x4 = float64(float32(t4))
		t5 := float64(a1*b1) + x5
		if roundsTwice(t5) {
			e = 5
			break
		}
		x5 = float64(float32(t5))
		t6 := float64(a1*b2) + x6
		if roundsTwice(t6) {
			e = 6
			break
		}
		x6 = float64(float32(t6))
		t7 := float64(a1*b3) + x7
		if roundsTwice(t7) {
			e = 7
			break
		}
		x7 = float64(float32(t7))
	}
	*x = [8]float64{x0, x1, x2, x3, x4, x5, x6, x7}
	return p, e
}

// tile1x8 runs the chains with steps1x8 and takes over whenever that stops.
func tile1x8(_, _ int, a *gathered, b []float32, ldb int, s []float32, _ int, c []float32, _ int) {
	var x [8]float64
	for e := range x {
		x[e] = float64(s[e])
	}
	for s := 0; s < len(a.seg) && a.length > 0; s++ {
		at := a.seg[s]
		row := a.x[a.off[0]+at:]
		for p := 0; p < a.length; p++ {
			var e int
			if p, e = steps1x8(&x, p, a.length, row, a.step, b, ldb); p == a.length {
				break
			}
			for ; e < len(x); e++ {
				x[e] = float64(FMA32(row[p*a.step], b[p*ldb+e], float32(x[e])))
			}
		}
		b = b[min(a.length*ldb, len(b)):]
	}
	for e := range x {
		c[e] = float32(x[e])
	}
}

// steps1x8 is steps2x4 for one row of eight chains.
func steps1x8(x *[8]float64, p, k int, row []float32, lda int, b []float32, ldb int) (step, chain int) {
	x0, x1, x2, x3, x4, x5, x6, x7 := x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
	e := 0
	for ; p < k; p++ {
		bp := b[p*ldb : p*ldb+8 : p*ldb+8]
		a0 := float64(row[p*lda])
		t0 := float64(a0*float64(bp[0])) + x0
		if roundsTwice(t0) {
			e = 0
			break
		}
		x0 = float64(float32(t0))
		t1 := float64(a0*float64(bp[1])) + x1
		if roundsTwice(t1) {
			e = 1
			break
		}
		x1 = float64(float32(t1))
		t2 := float64(a0*float64(bp[2])) + x2
		if roundsTwice(t2) {
			e = 2
			break
		}
		x2 = float64(float32(t2))
		t3 := float64(a0*float64(bp[3])) + x3
		if roundsTwice(t3) {
			e = 3
			break
		}
		x3 = float64(float32(t3))
		t4 := float64(a0*float64(bp[4])) + x4
		if roundsTwice(t4) {
			e = 4
			break
		}
		x4 = float64(float32(t4))
		t5 := float64(a0*float64(bp[5])) + x5
		if roundsTwice(t5) {
			e = 5
			break
		}
		x5 = float64(float32(t5))
		t6 := float64(a0*float64(bp[6])) + x6
		if roundsTwice(t6) {
			e = 6
			break
		}
		x6 = float64(float32(t6))
		t7 := float64(a0*float64(bp[7])) + x7
		if roundsTwice(t7) {
			e = 7
			break
		}
		x7 = float64(float32(t7))
	}
	*x = [8]float64{x0, x1, x2, x3, x4, x5, x6, x7}
	return p, e
}
