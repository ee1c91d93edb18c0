package imagefile

// share is how much an old pixel counts in a new one.
type share struct {
	from   int // the old pixel
	weight uint64
}

// shares returns, for each of n new pixels along a side, how much each of the old ones
// counts, in ascending order, and the sum of what they count, which is the same for all.
//
// For a mean, an old pixel is n long and a new one as long as there are old ones: so both
// sides are n*old long, and the weights are lengths. For an interpolation, a unit is 1/(2n)
// of an old pixel: the center of new pixel i is (2i+1)*old units from the edge, and that of
// old pixel j (2j+1)*n.
func shares(old, n int) (all [][]share, sum uint64) {
	all = make([][]share, n)
	if n <= old {
		for i := range n {
			begin, end := i*old, (i+1)*old
			for j := begin / n; j*n < end; j++ {
				all[i] = append(all[i], share{j, uint64(min(end, (j+1)*n) - max(begin, j*n))})
			}
		}
		return all, uint64(old)
	}
	for i := range n {
		place := min(max((2*i+1)*old-n, 0), 2*n*(old-1))
		j, beyond := place/(2*n), place%(2*n)
		all[i] = append(all[i], share{j, uint64(2*n - beyond)})
		if beyond > 0 {
			all[i] = append(all[i], share{j + 1, uint64(beyond)})
		}
	}
	return all, uint64(2 * n)
}

// Resize returns the image in another size, by the rule of the package comment. The sums
// are at most 255 times the numbers of old pixels, or twice those of new ones, along both
// sides: with sides of at most MaxPixels they fit into 64 bits.
func (p Pixels) Resize(height, width int) Pixels {
	if height == p.Height && width == p.Width {
		return p
	}
	out := Pixels{Height: height, Width: width, Channels: p.Channels, Data: make([]byte, 0, height*width*p.Channels)}
	rows, sumY := shares(p.Height, height)
	columns, sumX := shares(p.Width, width)
	total := sumY * sumX
	size := width * p.Channels
	// The last two old rows whose columns were summed: each new row begins where the one
	// before it ended, or just before.
	kept, sums := [2]int{-1, -1}, [2][]uint64{make([]uint64, size), make([]uint64, size)}
	line := make([]uint64, size)
	for _, row := range rows {
		clear(line)
		for _, y := range row {
			at := y.from % 2
			if kept[at] != y.from {
				kept[at] = y.from
				p.sumColumns(y.from, columns, sums[at])
			}
			for i, v := range sums[at] {
				line[i] += y.weight * v
			}
		}
		for _, v := range line {
			out.Data = append(out.Data, uint8((v+total/2)/total))
		}
	}
	return out
}

// sumColumns sets sums to the weighted sums of a row, channel by channel.
func (p Pixels) sumColumns(y int, columns [][]share, sums []uint64) {
	row := p.Data[y*p.Width*p.Channels:]
	for i, list := range columns {
		for c := range p.Channels {
			sum := uint64(0)
			for _, x := range list {
				sum += x.weight * uint64(row[x.from*p.Channels+c])
			}
			sums[i*p.Channels+c] = sum
		}
	}
}
