package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

const target = "../.."

func TestCommittedFilesAreWhatTheGeneratorWrites(t *testing.T) {
	files, err := generate(target)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4 {
		t.Errorf("%d files, want 4", len(files))
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(target, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: run go generate in kernel/cpu", name)
		}
	}
}

// Registers 16 to 31, opmasks and ZMM are encoded with AVX-512's prefix.
func TestAVX2FunctionsUseNoRegisterOfAVX512(t *testing.T) {
	files, err := generate(target)
	if err != nil {
		t.Fatal(err)
	}
	wide := regexp.MustCompile(`\b([XY](1[6-9]|2\d|3[01])|Z\d+|K[0-7])\b|AVX512`)
	if !wide.Match(files["elements_avx512_amd64.s"]) {
		t.Fatal("the pattern finds nothing in the AVX-512 functions")
	}
	if found := wide.Find(files["elements_avx2_amd64.s"]); found != nil {
		t.Errorf("the AVX2 functions use %s", found)
	}
}
