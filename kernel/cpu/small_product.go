package cpu

// smallProduct is C[m,n] = A B or C += A B, multiplied by the calling worker:
// for use within a part, which must not wait for the pool. Each element is one
// chain over ascending k. A is read in place, B and C in strips of columns.
type smallProduct struct {
	m, n, k int

	a              []float32 // A(i, p) is a[i*rowStep+p*kStep]
	rowStep, kStep int
	b              []float32 // row p of strip q begins at b[q*panelB+p*ldb]
	panelB, ldb    int
	c              []float32
	ldc            int
	// padded says that C has room for whole strips.
	padded bool
	// accumulate continues from the values in C, which must be padded.
	accumulate bool
	// triangle, unless 0, says that row i of C is needed only up to column
	// triangle+i; tiles beyond that are skipped.
	triangle int
}

// stripKernel computes tiles of C, each below the previous one.
type stripKernel struct {
	rows, cols int // of a tile
	// run computes, for i < m, a multiple of rows, and j < cols,
	//
	//	x := +0, or c[i*ldc+j] if accumulate
	//	for p := range k {
	//		x = FMA32(a[i*rowStep+p*kStep], b[p*ldb+j], x)
	//	}
	//	c[i*ldc+j] = x
	//
	// rowStep and ldc may both be 0: a tile's rows are then one and the same.
	run func(m, k int, a []float32, rowStep, kStep int, b []float32, ldb int, c []float32, ldc int, accumulate bool)
}

// run multiplies. It needs overhang, m*t.cols elements, unless C is padded.
func (p *smallProduct) run(t stripKernel, overhang []float32) {
	for j := 0; j < p.n; j += t.cols {
		b := p.b[j/t.cols*p.panelB:]
		if !p.padded && j+t.cols > p.n {
			p.strip(t, 0, b, overhang, t.cols)
			for i := range p.m {
				copy(p.c[i*p.ldc+j:i*p.ldc+p.n], overhang[i*t.cols:])
			}
			continue
		}
		first := 0
		if p.triangle != 0 {
			// The first tile with a row that needs column j.
			first = max(0, j-p.triangle+1) / t.rows * t.rows
		}
		p.strip(t, first, b, p.c[j:], p.ldc)
	}
}

// strip computes a strip from row first on. Rows that do not fill a tile are
// computed one by one, each as all rows of a tile.
func (p *smallProduct) strip(t stripKernel, first int, b, c []float32, ldc int) {
	whole := p.m / t.rows * t.rows
	if first < whole {
		t.run(whole-first, p.k, p.a[first*p.rowStep:], p.rowStep, p.kStep, b, p.ldb, c[first*ldc:], ldc, p.accumulate)
	}
	for i := max(first, whole); i < p.m; i++ {
		t.run(t.rows, p.k, p.a[i*p.rowStep:], 0, p.kStep, b, p.ldb, c[i*ldc:], 0, p.accumulate)
	}
}

func portableStrip() stripKernel { return stripKernel{rows: 2, cols: 4, run: strip2x4} }

// strip2x4 computes a strip by tile2x4.
func strip2x4(m, k int, a []float32, rowStep, kStep int, b []float32, ldb int, c []float32, ldc int, accumulate bool) {
	var zero [4]float32
	var seg [1]int
	for i := 0; i < m; i += 2 {
		s, lds := zero[:], 0
		c := c[i*ldc:]
		if accumulate {
			s, lds = c, ldc
		}
		off := [maxTileRows]int{i * rowStep, (i + 1) * rowStep}
		tile2x4(2, 4, &gathered{x: a, off: &off, seg: seg[:], length: k, step: kStep}, b, ldb, s, lds, c, ldc)
	}
}
