package cpu

func inTests(x, y, z float64) float64 { return x*y + z }
