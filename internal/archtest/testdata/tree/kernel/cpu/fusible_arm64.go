package cpu

func onlyOnARM(x, y, z float64) float64 { return x*y + z } // want fusible "this product may be fused"
