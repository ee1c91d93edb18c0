// Command bigtable writes a Parquet file of many rows, to measure training on data that
// does not fit in memory: 18 columns of numbers, two of categories, and a class that
// depends on them.
//
//	go run ./cmd/bigtable -rows 10000000 -out big.parquet
//
// The same number of rows gives the same values on every machine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/parquet-go/parquet-go"
)

func main() {
	rows := flag.Int("rows", 1_000_000, "rows to write")
	out := flag.String("out", "big.parquet", "file to write")
	flag.Parse()
	if err := write(*out, *rows); err != nil {
		fmt.Fprintln(os.Stderr, "bigtable:", err)
		os.Exit(1)
	}
}

// row is a row of the table.
type row struct {
	X01     float64 `parquet:"x01"`
	X02     float64 `parquet:"x02"`
	X03     float64 `parquet:"x03"`
	X04     float64 `parquet:"x04"`
	X05     float64 `parquet:"x05"`
	X06     float64 `parquet:"x06"`
	X07     float64 `parquet:"x07"`
	X08     float64 `parquet:"x08"`
	X09     float64 `parquet:"x09"`
	X10     float64 `parquet:"x10"`
	X11     float64 `parquet:"x11"`
	X12     float64 `parquet:"x12"`
	X13     float64 `parquet:"x13"`
	X14     float64 `parquet:"x14"`
	X15     float64 `parquet:"x15"`
	X16     float64 `parquet:"x16"`
	X17     float64 `parquet:"x17"`
	X18     float64 `parquet:"x18"`
	Region  string  `parquet:"region,dict"`
	Product string  `parquet:"product,dict"`
	Class   string  `parquet:"class,dict"`
}

// numbers returns where the numbers of the row are.
func (r *row) numbers() []*float64 {
	return []*float64{
		&r.X01, &r.X02, &r.X03, &r.X04, &r.X05, &r.X06, &r.X07, &r.X08, &r.X09,
		&r.X10, &r.X11, &r.X12, &r.X13, &r.X14, &r.X15, &r.X16, &r.X17, &r.X18,
	}
}

// fill draws a row.
func (r *row) fill(random *rand.Rand) {
	for i, x := range r.numbers() {
		*x = float64(i) + random.NormFloat64()*float64(i+1)
	}
	region, product := random.IntN(12), random.IntN(40)
	r.Region, r.Product = fmt.Sprintf("region-%02d", region), fmt.Sprintf("product-%02d", product)
	score := r.X01 + (r.X02-1)/2 - (r.X03-2)/3 + float64(region-6)/6 + float64(product%5-2)/2 + random.NormFloat64()
	switch {
	case score < -1:
		r.Class = "low"
	case score < 1:
		r.Class = "middle"
	default:
		r.Class = "high"
	}
}

func write(path string, rows int) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const group = 100_000
	w := parquet.NewGenericWriter[row](f, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(group))
	random := rand.New(rand.NewPCG(1, 2))
	buffer := make([]row, 0, 1000)
	for first := 0; first < rows; first += cap(buffer) {
		buffer = buffer[:min(cap(buffer), rows-first)]
		for i := range buffer {
			buffer[i].fill(random)
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
	}
	return w.Close()
}
