package dataset_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"reprise/dataset"
)

// A CSV file becomes batches: columns are standardised by the training split, and
// labels are places in ClassNames.
func ExampleLibrary_Open() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "pets.csv")
	table := "weight,kind\n4,cat\n30,dog\n5,cat\n24,dog\n3,cat\n"
	if err := os.WriteFile(path, []byte(table), 0o600); err != nil {
		panic(err)
	}

	library, err := dataset.NewLibrary(dataset.Config{CacheDir: folder})
	if err != nil {
		panic(err)
	}
	data, err := library.Open(context.Background(), dataset.Source{Path: path, Target: "kind"})
	if err != nil {
		panic(err)
	}
	fmt.Println(data.Task(), data.SampleShape(), data.ClassNames())

	batch := data.NewBatch(data.Len(dataset.Train))
	data.GatherBatch(dataset.Train, []int{0, 1, 2, 3}, batch)
	for i, label := range batch.Labels {
		fmt.Printf("%s: weight %+.2f\n", data.ClassNames()[label], batch.Inputs[i])
	}
	// Output:
	// classification [1] [cat dog]
	// cat: weight -0.58
	// cat: weight -0.46
	// dog: weight +1.73
	// cat: weight -0.69
}

// The order of an epoch is a function of seed and epoch. It takes no memory,
// however many samples there are.
func ExampleNewPermutation() {
	for epoch := range uint64(2) {
		order := dataset.NewPermutation(7, epoch, 6)
		places := make([]int, 6)
		for i := range places {
			places[i] = order.At(i)
		}
		fmt.Println(places)
	}
	// Output:
	// [0 4 2 3 5 1]
	// [4 3 1 0 5 2]
}

// A mistake in a file is a *DataError, one in the source a *fault.FieldError. Both say
// what to do.
func ExampleDataError() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "flats.csv")
	if err := os.WriteFile(path, []byte("area,price\n30,91\n42,\"1,300\"\n"), 0o600); err != nil {
		panic(err)
	}
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: folder})
	if err != nil {
		panic(err)
	}
	_, err = library.Open(context.Background(), dataset.Source{Path: path, Target: "price", Task: dataset.Regression})
	var bad *dataset.DataError
	if errors.As(err, &bad) {
		fmt.Printf("line %d, column %s: %s %s\n", bad.Line, bad.Column, bad.Value, bad.Problem)
		fmt.Println(bad.Fix)
	}
	// Output:
	// line 3, column price: "1,300" is not a number
	// write columns: {price: {kind: number, thousands: ","}}, or give the column another kind
}
