// Package cpu has products that may be fused, and some that may not.
package cpu

import (
	"math"

	"reprise/kernel"
)

type number float32

type float interface{ ~float32 | ~float64 }

func direct(x, y, z float32) float32 {
	a := x*y + z             // want fusible "this product may be fused"
	b := z - (x * y)         // want fusible "this product may be fused"
	c := -(x * y) + z        // want fusible "this product may be fused"
	a += x * y               // want fusible "this product may be fused"
	a -= x * y * 2           // want fusible "this product may be fused"
	d := math.Sqrt(2)*1 + 3  // want fusible "this product may be fused"
	e := float64(x)*2 + d    // want fusible "this product may be fused"
	f := number(x)*2 + 1     // want fusible "this product may be fused"
	g := kernel.Rate*x + 1   // want fusible "this product may be fused"
	h := complex(x, y)*2 + 1 // want fusible "this product may be fused"
	return a + b + c + float32(e) + float32(f) + float32(g) + real(h)
}

func rounded(x, y, z float32, n int) float32 {
	a := float32(x*y) + z
	a += float32(x * y)
	a = x * y / z
	a = float32(x*y*z) - z/y
	i := n*4 + 1
	const half = 0.5
	b := half*2 + z
	c := math.FMA(float64(x), float64(y), float64(z))
	if x*y > z {
		return float32(i) + b + float32(c)
	}
	return a
}

func generic[T float](x, y, z T) T {
	return x*y + z // want fusible "this product may be fused"
}

func integers[T ~int | ~uint](x, y, z T) T {
	return x*y + z
}

func variable(x, y, z float32) float32 {
	t := x * y // want fusible "may be fused with a sum of t in line"
	u := x
	u *= y // want fusible "may be fused with a sum of u in line"
	var v = x * y
	w := float32(x * y)
	z += u
	return t + z + w - x/v
}

func memory(a []float32, s *struct{ sum float32 }, x, y float32) {
	a[0] = x * y // want fusible "may be fused with a sum of a[0] in line"
	a[1] = x * y
	s.sum += a[0]
	s.sum *= x // want fusible "may be fused with a sum of s.sum in line"
	s.sum = s.sum + a[2]
}

func result(x, y float32) float32 { return x * y }

func through(x, y float32) float32 { return result(x, y) }

func argument(x, y float32) float32 { return x + y }

func only(x float32) float32 { return x / 2 }

func inlined(x, y, z float32) float32 {
	a := result(x, y) + z  // want fusible "the call returns a product"
	b := z - through(x, y) // want fusible "the call returns a product"
	c := argument(z, x*y)  // want fusible "argument adds to this product"
	d := only(x*y) - float32(result(x, y))
	e := through(x, y) // want fusible "may be fused with a sum of e in line"
	return a + b + c + d + e
}

func allowed(x, y, z float32) float32 {
	//archtest:allow fusible the caller passes powers of two, so that it is exact
	return x*y + z
}

func unexplained(x, y, z float32) float32 {
	//archtest:allow fusible trust me // want allow "a reason of three words or more"
	return x*y + z // want fusible "this product may be fused"
}

//archtest:allow fusible nothing here is a product at all // want allow "allows nothing: remove it"
func harmless(x, y float32) float32 { return x + y }
