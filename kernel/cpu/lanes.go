package cpu

// Row sums. Lane j%16 takes element j, in ascending order from +0; then lane l
// takes lane l+8 for l < 8, l+4 for l < 4, l+2 and l+1.

// lanes is the number of partial sums of a row.
const lanes = 16

// laneTree adds the lanes up; it overwrites them.
func laneTree(lane *[lanes]float32) float32 {
	for d := lanes / 2; d > 0; d /= 2 {
		for l := range d {
			lane[l] += lane[l+d]
		}
	}
	return lane[0]
}

// laneSum returns the sum of x.
func laneSum(x []float32) float32 {
	var lane [lanes]float32
	for ; len(x) >= lanes; x = x[lanes:] {
		for l, v := range (*[lanes]float32)(x) {
			lane[l] += v
		}
	}
	for l, v := range x {
		lane[l] += v
	}
	return laneTree(&lane)
}

// laneSquares returns the sum of d*d, fused, with d = x - center. A center of 0
// gives the sum of squares.
func laneSquares(x []float32, center float32) float32 {
	var lane [lanes]float32
	for ; len(x) >= lanes; x = x[lanes:] {
		for l, v := range (*[lanes]float32)(x) {
			d := v - center
			lane[l] = FMA32(d, d, lane[l])
		}
	}
	for l, v := range x {
		d := v - center
		lane[l] = FMA32(d, d, lane[l])
	}
	return laneTree(&lane)
}

// laneDistance returns the sum of d*d, fused, with d = x - y.
func laneDistance(x, y []float32) float32 {
	var lane [lanes]float32
	y = y[:len(x)]
	for j, v := range x {
		d := v - y[j]
		lane[j%lanes] = FMA32(d, d, lane[j%lanes])
	}
	return laneTree(&lane)
}
