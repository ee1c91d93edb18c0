package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"reprise/dataset"
)

// unreadData are the extensions of data in forms that Reprise does not read.
func unreadData() []string {
	return []string{".arrow", ".feather", ".h5", ".hdf5", ".xls", ".xlsx", ".ods", ".arff", ".pkl", ".pickle", ".mat", ".sqlite", ".db"}
}

// unreadPacking are the extensions of archives and compressed files that it does not read.
func unreadPacking() []string { return []string{".zip", ".bz2", ".xz", ".tar", ".tgz", ".7z"} }

// notARequest says what was given in place of a request file, if that is plain to
// see: a data set, or a file that is not text. It is for content that is not a
// request; nil where it might be meant as one.
func notARequest(file string, content []byte) error {
	for _, key := range []string{"model_architecture", "dataset_path"} {
		if bytes.Contains(content, []byte(key)) {
			return nil
		}
	}
	ext := strings.ToLower(filepath.Ext(file))
	if slices.Contains([]string{".yaml", ".yml", ".json"}, ext) && !isPacked(content) {
		return nil
	}
	path, name := file, file
	if file == "-" {
		path, name = "FILE", "standard input"
	}
	write := "write one with dataset_path: " + path
	base := strings.TrimSuffix(path, filepath.Ext(path))
	switch {
	case dataset.Reads(file):
	case slices.Contains(unreadPacking(), ext):
		write = "unpack it, and write one with dataset_path: " + base
	case slices.Contains(unreadData(), ext):
		write = "save the data as Parquet or CSV, and write one with dataset_path: " + base + ".parquet"
	case isJSONLines(content):
		write = "name it " + path + ".jsonl, and write one with dataset_path: " + path + ".jsonl"
	case isBinary(content):
		return fmt.Errorf("%s is not text; JOB is a request file, such as examples/digits.yaml, which names the data with dataset_path", name)
	case isTable(content):
		write = "name it " + path + ".csv, and write one with dataset_path: " + path + ".csv"
	default:
		return nil
	}
	return fmt.Errorf("%s looks like a data set; JOB is a request file; %s", name, write)
}

// notAFile says what to do where JOB is a folder or a name of the catalogue; nil
// where it is neither.
func notAFile(file string) error {
	info, err := os.Stat(file)
	switch {
	case err == nil && info.IsDir():
		fix := "name one, or write one with dataset_path: " + file + " if the folder holds the data"
		if requests, _ := filepath.Glob(filepath.Join(escapeGlob(file), "*.y*ml")); len(requests) > 0 {
			fix = "name one in the folder, such as " + requests[0]
		}
		return fmt.Errorf("%s is a folder; JOB is a request file; %s", file, fix)
	case err != nil && isCatalogueName(file):
		return fmt.Errorf("%s is a data set; JOB is a request file; write one with dataset_path: %s", file, file)
	}
	return nil
}

// escapeGlob makes a path match itself only.
func escapeGlob(path string) string {
	if os.PathSeparator == '\\' {
		return path // filepath.Match has no escapes there
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func isCatalogueName(name string) bool {
	library, err := dataset.NewLibrary(dataset.Config{})
	if err != nil {
		return false
	}
	_, ok := library.Lookup(name)
	return ok
}

// isPacked reports whether content begins as a compressed file, an archive or a
// binary table does.
func isPacked(content []byte) bool {
	return slices.ContainsFunc([]string{"\x1f\x8b", "PK\x03\x04", "PAR1", "\x93NUMPY", "\x89HDF", "\x7fELF", "SQLite format 3", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd"},
		func(magic string) bool { return bytes.HasPrefix(content, []byte(magic)) })
}

// isBinary reports whether content is not text in UTF-8 or UTF-16.
func isBinary(content []byte) bool {
	if bytes.HasPrefix(content, []byte{0xff, 0xfe}) || bytes.HasPrefix(content, []byte{0xfe, 0xff}) {
		return false
	}
	start := content[:min(len(content), 4096)]
	if isPacked(content) || bytes.IndexByte(start, 0) >= 0 {
		return true
	}
	strange := 0
	for len(start) >= utf8.UTFMax {
		r, size := utf8.DecodeRune(start)
		if r == utf8.RuneError && size == 1 {
			strange++
		}
		start = start[size:]
	}
	return strange > 16
}

// isTable reports whether content has two or more lines in which a separator comes
// equally often, and which are not keys with values.
func isTable(content []byte) bool {
	lines := strings.Split(strings.ReplaceAll(string(content[:min(len(content), 1<<16)]), "\r\n", "\n"), "\n")
	if len(lines) < 2 || strings.Contains(lines[0], ": ") || strings.HasSuffix(lines[0], ":") {
		return false
	}
	for _, separator := range []string{",", ";", "\t", "|"} {
		if n := strings.Count(lines[0], separator); n > 0 && strings.Count(lines[1], separator) == n && !strings.ContainsAny(lines[0][:1], "[{-#") {
			return true
		}
	}
	return false
}

// isJSONLines reports whether content is one JSON object on each line, as data is
// written that has several.
func isJSONLines(content []byte) bool {
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return len(lines) > 1 && !slices.ContainsFunc(lines[:2], func(line []byte) bool {
		line = bytes.TrimSpace(line)
		return !bytes.HasPrefix(line, []byte("{")) || !bytes.HasSuffix(line, []byte("}"))
	})
}
