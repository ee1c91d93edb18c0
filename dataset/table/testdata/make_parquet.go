//go:build ignore

// Writes parquet/go-*.parquet with parquet-go, in the encodings that DuckDB does not
// write. The package as a whole is not a dependency of this module, only two that are in
// it, so that it needs a copy of go.mod:
//
//	cp ../../../go.mod ../../../go.sum /tmp && go run -mod=mod -modfile=/tmp/go.mod make_parquet.go
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// row is what encodings_test.go expects of row i.
type row struct {
	DeltaInt    int32     `parquet:"delta_int,delta"`
	DeltaLong   int64     `parquet:"delta_long,optional,delta"`
	DeltaText   string    `parquet:"delta_text,delta"`
	DeltaLength []byte    `parquet:"delta_length,delta"`
	Dictionary  *string   `parquet:"dictionary,optional,dict"`
	Split       float64   `parquet:"split,split"`
	SplitFloat  float32   `parquet:"split_float,split"`
	Plain       string    `parquet:"plain,plain"`
	Flag        *bool     `parquet:"flag,optional"`
	At          time.Time `parquet:"at,timestamp(millisecond),delta"`
	Price       int64     `parquet:"price,decimal(2:18)"`
	Group       struct {
		Inner *struct {
			Value *int32 `parquet:"value,optional"`
		} `parquet:"inner,optional"`
	} `parquet:"group"`
}

func rows() []row {
	list := make([]row, 1000)
	for i := range list {
		r := &list[i]
		long, word, flag, value := int64(i*i*i)<<20, fmt.Sprint("word", i%7), i%3 == 0, int32(-i)
		r.DeltaInt, r.DeltaText, r.DeltaLength = int32(i*i%1001)-500, strings.Repeat("x", i%20)+fmt.Sprint(i), []byte(strings.Repeat("y", i%11))
		r.Split, r.SplitFloat, r.Plain = float64(i)/8, float32(-i)/4, fmt.Sprint("plain", i)
		r.At, r.Price = time.UnixMilli(int64(i)*123456789).UTC(), int64(i)*101
		if i%5 != 0 {
			r.DeltaLong, r.Dictionary, r.Flag = long, &word, &flag
		}
		if i%4 != 0 {
			r.Group.Inner = new(struct {
				Value *int32 `parquet:"value,optional"`
			})
			if i%4 != 1 {
				r.Group.Inner.Value = &value
			}
		}
	}
	return list
}

func write(name string, options ...parquet.WriterOption) {
	f, err := os.Create("parquet/" + name)
	if err != nil {
		panic(err)
	}
	w := parquet.NewGenericWriter[row](f, options...)
	all := rows()
	for len(all) > 0 {
		if _, err := w.Write(all[:300:300]); err != nil {
			panic(err)
		}
		all = all[min(300, len(all)):]
		if len(all) < 300 {
			if _, err := w.Write(all); err != nil {
				panic(err)
			}
			break
		}
		if err := w.Flush(); err != nil { // a row group
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
}

func main() {
	write("go-v1.parquet", parquet.DataPageVersion(1), parquet.PageBufferSize(512), parquet.Compression(&parquet.Snappy))
	write("go-v2.parquet", parquet.DataPageVersion(2), parquet.PageBufferSize(4096), parquet.Compression(&parquet.Zstd))
}
