// Command loading measures how fast shuffled samples arrive at a trainer: rows of a table and
// images, each from a file that does not fit in the memory that is allowed, compared with
// PyTorch's DataLoader on two workers over the same inputs in a mapped file. It prints a line
// of JSON for each, and fails if ours is less than twice as fast.
//
//	go run ./cmd/loading -table big.parquet -images photos
//
// -table is what cmd/bigtable writes; without it, or without -images, that line is left out.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"reprise/dataset"
)

// bar is how many times as fast we have to be.
const bar = 2

// python is Debian's, the one that python3-torch belongs to.
const python = "/usr/bin/python3"

func main() {
	table := flag.String("table", "", "file that bigtable wrote")
	images := flag.String("images", "", "folder of images by class, of one size")
	rows := flag.Int("rows", 400_000, "samples that are taken, at most")
	batch := flag.Int("batch", 512, "samples of a batch")
	memory := flag.Int64("memory", 0, "bytes of memory for data; 0 is the default")
	cache := flag.String("cache", "", "folder for packed data; a temporary one by default")
	flag.Parse()
	var err error
	if *table != "" {
		err = errors.Join(err, measure("rows", dataset.Source{Path: *table, Target: "class"}, *rows, *batch, *memory, *cache))
	}
	if *images != "" {
		err = errors.Join(err, measure("images", dataset.Source{Path: *images}, *rows, *batch, *memory, *cache))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loading:", err)
		os.Exit(1)
	}
}

// line is what was measured.
type line struct {
	What       string  `json:"what"`
	Samples    int     `json:"samples"`
	Width      int     `json:"width"`
	Batch      int     `json:"batch"`
	InFile     bool    `json:"in_file"`
	PerSecond  float64 `json:"per_second"`
	TorchRate  float64 `json:"dataloader_per_second"`
	Ratio      float64 `json:"ratio"`
	TorchBuild string  `json:"torch"`
}

func measure(what string, source dataset.Source, rows, batch int, memory int64, cache string) (err error) {
	folder, err := os.MkdirTemp("", "reprise-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if cache == "" {
		cache = folder
	}
	library, err := dataset.NewLibrary(dataset.Config{CacheDir: cache, Memory: memory})
	if err != nil {
		return err
	}
	data, err := library.Open(context.Background(), source)
	if err != nil {
		return err
	}
	n := data.Len(dataset.Train)
	rows = min(rows, n)
	width, err := data.SampleShape().NumElements()
	if err != nil {
		return err
	}
	result := line{What: what, Samples: rows, Width: width, Batch: batch, InFile: data.InFile()}
	values, labels := filepath.Join(folder, "values"), filepath.Join(folder, "labels")
	if err := export(data, min(n, 1_000_000), width, values, labels); err != nil {
		return err
	}
	// Once to warm up, and then for the record; the peer goes through its file as often.
	for range 2 {
		seconds, err := gather(data, rows, batch)
		if err != nil {
			return err
		}
		result.PerSecond = float64(rows) / seconds
		out, err := exec.Command(python, filepath.Join("peers", "torch", "loading.py"), values, labels,
			"--width", fmt.Sprint(width), "--batch", fmt.Sprint(batch), "--rows", fmt.Sprint(rows)).Output()
		if err != nil {
			return fmt.Errorf("PyTorch: %w", err)
		}
		var peer struct {
			Rows    int     `json:"rows"`
			Seconds float64 `json:"seconds"`
			Version string  `json:"version"`
		}
		if err := json.Unmarshal(out, &peer); err != nil {
			return err
		}
		result.TorchRate, result.TorchBuild = float64(peer.Rows)/peer.Seconds, peer.Version
	}
	result.Ratio = result.PerSecond / result.TorchRate
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return err
	}
	if !(result.Ratio >= bar) {
		return fmt.Errorf("%s arrive %.2f times as fast as from PyTorch's DataLoader, and at least %d are wanted", what, result.Ratio, bar)
	}
	return nil
}

// gather takes so many samples in the order of an epoch, in batches, and returns the seconds.
func gather(data *dataset.Dataset, rows, batch int) (float64, error) {
	order := dataset.NewPermutation(1, 0, data.Len(dataset.Train))
	b, index := data.NewBatch(batch), make([]int, batch)
	start := time.Now()
	for first := 0; first < rows; first += batch {
		index = index[:min(batch, rows-first)]
		for i := range index {
			index[i] = order.At(first + i)
		}
		if err := data.GatherBatch(dataset.Train, index, b); err != nil {
			return 0, err
		}
	}
	return time.Since(start).Seconds(), nil
}

// export writes the inputs of the first samples, and their labels.
func export(data *dataset.Dataset, rows, width int, values, labels string) (err error) {
	var out [2]*bufio.Writer
	for i, path := range []string{values, labels} {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		out[i] = bufio.NewWriterSize(f, 1<<20)
	}
	const batch = 1000
	b, index := data.NewBatch(batch), make([]int, 0, batch)
	var buffer []byte
	for first := 0; first < rows; first += batch {
		index = index[:0]
		for i := first; i < min(first+batch, rows); i++ {
			index = append(index, i)
		}
		if err := data.GatherBatch(dataset.Train, index, b); err != nil {
			return err
		}
		buffer = buffer[:0]
		for _, v := range b.Inputs {
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
		}
		if _, err := out[0].Write(buffer); err != nil {
			return err
		}
		buffer = buffer[:0]
		for _, label := range b.Labels {
			buffer = binary.LittleEndian.AppendUint64(buffer, uint64(label))
		}
		if _, err := out[1].Write(buffer); err != nil {
			return err
		}
	}
	return errors.Join(out[0].Flush(), out[1].Flush())
}
