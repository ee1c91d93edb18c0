package cpu

// packing is the part of a variant that packs panels of B.
type packing struct {
	transpose4  transposer // four rows
	transpose16 transposer // sixteen, or nil
}

// transposer writes dst[k*width+i] = x[i*ld+k] for i below its number of rows
// and k < done, and returns done, at most ks.
type transposer func(dst []float32, width int, x []float32, ld, ks int) (done int)

// bPanels are columns of B from j0 on and k in [k0, k0+ks), packed unless they
// are read in place.
type bPanels struct {
	cols   int // of a panel
	j0     int
	k0, ks int
	direct int // columns before this one are not packed
	packed []float32
}

// fill packs the columns up to j1, and pads the last panel with zeros.
func (p *bPanels) fill(pack *packing, args *MatMulArgs, j1, direct int) {
	p.direct = max(direct, p.j0)
	from := p.direct
	if p.ks == 0 || from >= j1 {
		return
	}
	n := j1 - from
	size := p.cols * p.ks
	if n%p.cols != 0 {
		clear(p.packed[n/p.cols*size : ceilDiv(n, p.cols)*size])
	}
	if !args.TransB {
		packStraight(p.packed, p.cols, args.B[p.k0*args.LDB+from:], args.LDB, n, p.ks)
		return
	}
	for q := 0; q*p.cols < n; q++ {
		j := from + q*p.cols
		pack.transposed(p.packed[q*size:(q+1)*size], p.cols, args.B[j*args.LDB+p.k0:], args.LDB, min(p.cols, j1-j), p.ks)
	}
}

// at returns the panel of column j and its row stride.
func (p *bPanels) at(args *MatMulArgs, j int) ([]float32, int) {
	if p.ks == 0 {
		return nil, p.cols
	}
	if j < p.direct {
		return args.B[p.k0*args.LDB+j:], args.LDB
	}
	at := (j - p.direct) * p.ks
	return p.packed[at : at+p.cols*p.ks], p.cols
}

// packStraight packs rows of x that run along the panels' rows:
// dst[q*width*ks + k*width + i] = x[k*ld + q*width + i]. It packs all panels of
// one k before the next k, because they are adjacent in x.
func packStraight(dst []float32, width int, x []float32, ld, rows, ks int) {
	size := width * ks
	full := rows / width
	for k := range ks {
		row := x[k*ld:][:rows]
		to := dst[k*width:]
		switch width {
		case 16:
			for q := range full {
				*(*[16]float32)(to[q*size:]) = *(*[16]float32)(row[q*16:])
			}
		case 32:
			for q := range full {
				*(*[32]float32)(to[q*size:]) = *(*[32]float32)(row[q*32:])
			}
		default:
			for q := range full {
				copy(to[q*size:q*size+width], row[q*width:])
			}
		}
		if rows != full*width {
			copy(to[full*size:], row[full*width:])
		}
	}
}

// transposed turns rows of x, each ks long, into the columns of one panel:
// dst[k*width+i] = x[i*ld+k]. If the number of rows is not a multiple of four,
// the last four overlap the ones before.
func (p *packing) transposed(dst []float32, width int, x []float32, ld, rows, ks int) {
	if rows < 4 {
		for i := range rows {
			at := i
			for _, v := range x[i*ld:][:ks] {
				dst[at] = v
				at += width
			}
		}
		return
	}
	i := 0
	for ; p.transpose16 != nil && i+16 <= rows; i += 16 {
		done := p.transpose16(dst[i:], width, x[i*ld:i*ld+15*ld+ks], ld, ks)
		for j := i; done < ks && j < i+16; j += 4 {
			transpose4(dst[done*width+j:], width, x[j*ld+done:j*ld+3*ld+ks], ld, ks-done)
		}
	}
	for ; i < rows; i += 4 {
		i := min(i, rows-4)
		done := p.transpose4(dst[i:], width, x[i*ld:i*ld+3*ld+ks], ld, ks)
		if done < ks {
			transpose4(dst[done*width+i:], width, x[i*ld+done:i*ld+3*ld+ks], ld, ks-done)
		}
	}
}

// transpose4 is the transposer of four rows in Go.
func transpose4(dst []float32, width int, x []float32, ld, ks int) int {
	x0 := x[:ks]
	x1 := x[ld:][:ks]
	x2 := x[2*ld:][:ks]
	x3 := x[3*ld:][:ks]
	at := 0
	for k := range x0 {
		d := dst[at : at+4 : at+4]
		d[0], d[1], d[2], d[3] = x0[k], x1[k], x2[k], x3[k]
		at += width
	}
	return ks
}
