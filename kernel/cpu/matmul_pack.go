package cpu

// operand is one side of a product: an explicit matrix or a Packer.
type operand struct {
	packer Packer
	x      []float32
	ld     int
	// contiguous says that k runs along the rows: x(i, k) is x[i*ld+k], as in A
	// and in a transposed B; otherwise x(i, k) is x[k*ld+i].
	contiguous bool
	transpose  transposer
}

// packRange is a part of an operand to be packed: rows [row0, row0+rows) and k
// in [k0, k0+ks).
type packRange struct {
	row0, rows, k0, ks int
}

// pack fills the panels of a range, one after the other:
// dst[q*width*ks + k*width + i] = x(row0+q*width+i, k0+k), and +0 for rows
// beyond the range in the last panel.
func (o *operand) pack(dst []float32, width int, r packRange) {
	if r.ks == 0 {
		return
	}
	size := width * r.ks
	full := r.rows / width
	if r.rows%width != 0 {
		clear(dst[full*size : (full+1)*size])
	}
	if o.packer == nil && !o.contiguous {
		packStraight(dst, width, o.x[r.k0*o.ld+r.row0:], o.ld, r.rows, r.ks)
		return
	}
	for q := 0; q*width < r.rows; q++ {
		panel := dst[q*size : (q+1)*size]
		row0, rows := r.row0+q*width, min(width, r.rows-q*width)
		if o.packer != nil {
			o.packer.PackPanel(panel, width, row0, rows, r.k0, r.ks)
		} else {
			packTransposed(o.transpose, panel, width, o.x[row0*o.ld+r.k0:], o.ld, rows, r.ks)
		}
	}
}

// packStraight packs rows of x that run along the panels' rows:
// dst[q*width*ks + k*width + i] = x[k*ld + q*width + i]. It takes all panels
// of one k before the next k, since they lie side by side in x.
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

// packTransposed turns rows of x, each ks long, into the columns of one panel:
// dst[k*width+i] = x[i*ld+k]. transpose does four rows at a time; where their
// number is not a multiple of four, the last four overlap the ones before.
func packTransposed(transpose transposer, dst []float32, width int, x []float32, ld, rows, ks int) {
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
	for i := 0; i < rows; i += 4 {
		i := min(i, rows-4)
		done := transpose(dst[i:], width, x[i*ld:i*ld+3*ld+ks], ld, ks)
		if done < ks {
			transpose4(dst[done*width+i:], width, x[i*ld+done:i*ld+3*ld+ks], ld, ks-done)
		}
	}
}

// transposer writes dst[k*width+i] = x[i*ld+k] for i < 4 and k < done, and
// returns done, at most ks.
type transposer func(dst []float32, width int, x []float32, ld, ks int) (done int)

// transpose4 is the transposer in Go.
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
