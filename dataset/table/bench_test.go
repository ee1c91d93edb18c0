package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkRead reads a million rows of ten columns and reports the rate:
//
//	go test -run '^$' -bench Read -benchtime 3x ./dataset/table
func BenchmarkRead(b *testing.B) {
	const rows = 1_000_000
	folder := b.TempDir()
	for _, format := range []string{"csv", "csv.gz", "jsonl"} {
		path := filepath.Join(folder, "t."+format)
		b.Run(format, func(b *testing.B) {
			writeRows(b, path, rows)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if n := countRows(b, path); n != rows {
					b.Fatalf("%d rows", n)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// countRows reads a table.
func countRows(b *testing.B, path string) (n int) {
	b.Helper()
	ctx := context.Background()
	r, err := Open(ctx, Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	row := make([]Cell, len(r.Columns()))
	for ; ; n++ {
		if _, err := r.Next(ctx, row); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			b.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	return n
}

// writeRows writes a table of ten columns: eight numbers and two words.
func writeRows(b *testing.B, path string, rows int) {
	b.Helper()
	var t strings.Builder
	isJSON := strings.Contains(path, ".jsonl")
	if !isJSON {
		t.WriteString("a,b,c,d,e,f,g,h,word,place\n")
	}
	for i := range rows {
		if isJSON {
			fmt.Fprintf(&t, `{"a":%d,"b":%d.5,"c":%d,"d":-%d,"e":0.%d,"f":%d,"g":%d,"h":%d,"word":"word%d","place":"Street %d"}`+"\n", i, i, i%7, i%13, i, i%3, i%5, i/2, i%100, i%1000)
			continue
		}
		fmt.Fprintf(&t, "%d,%d.5,%d,-%d,0.%d,%d,%d,%d,word%d,\"Street %d\"\n", i, i, i%7, i%13, i, i%3, i%5, i/2, i%100, i%1000)
	}
	content := t.String()
	if strings.HasSuffix(path, ".gz") {
		content = gz(content)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
}
