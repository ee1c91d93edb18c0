package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"reprise/api"
)

// A file of several row groups, the last of them not full, and one without rows.
func TestPredictionsInParquetAreThoseInCSV(t *testing.T) {
	for _, h := range []api.PredictionHead{
		{Column: "kind", Classes: []string{"a cat", "dög", ""}}, {Quantities: []string{"z", "a"}}, // which keep their order
		{Column: "image", Classes: []string{"a cat", "dog"}, Images: true}, {Quantities: []string{"z"}, Images: true},
	} {
		for rows := range 6 {
			var inCSV, inParquet bytes.Buffer
			plain, err := newPredictionWriter(&inCSV, formatCSV, h)
			if err != nil {
				t.Fatal(err)
			}
			packed, err := newParquetPredictions(&inParquet, h)
			if err != nil {
				t.Fatal(err)
			}
			packed.mostRows = 2
			for i := range rows {
				p := api.Prediction{Values: []float64{float64(i) / 3, -1e300, 5e-324}[:max(len(h.Classes), len(h.Quantities))]}
				if h.Images {
					p.Image = api.Text(fmt.Sprintf("pets/%d, \"of\" many.png", i))
				}
				if h.Classes != nil {
					p.Class = i % 2 // a cell that is empty reads as a missing one
				}
				for _, out := range []predictionWriter{plain, packed} {
					if err := out.write(p); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, out := range []predictionWriter{plain, packed} {
				if err := out.end(); err != nil {
					t.Fatal(err)
				}
			}
			t.Run(fmt.Sprintf("%s, %d rows", strings.Join(predictionColumns(h), " "), rows), func(t *testing.T) {
				checkParquet(t, inParquet.String(), inCSV.String())
			})
		}
	}
}
