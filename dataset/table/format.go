package table

import (
	"bytes"
	"path/filepath"
	"strings"

	"reprise/fault"
)

// fileFormat is a kind of file.
type fileFormat uint8

const (
	unknown fileFormat = iota
	separated
	jsonRows
	parquetFile
	npyArray
	npzArchive
)

// String returns the name, as errors say it after "is".
func (f fileFormat) String() string {
	return [...]string{"of no known format", "text in columns", "JSON", "Parquet", "an array of NumPy (.npy)", "an archive of NumPy (.npz)"}[f]
}

// packing is how a file is compressed.
type packing uint8

const (
	plain packing = iota
	gzipped
	zstandard
)

func (p packing) String() string {
	return [...]string{"not compressed", "compressed by gzip", "compressed by Zstandard"}[p]
}

// ending says what the name of a file says about it. separator is "" where it is for the
// content to say.
func ending(path string) (f fileFormat, separator string, p packing) {
	name := strings.ToLower(filepath.Base(path))
	switch extension := filepath.Ext(name); extension {
	case ".gz", ".gzip":
		p, name = gzipped, strings.TrimSuffix(name, extension)
	case ".zst", ".zstd":
		p, name = zstandard, strings.TrimSuffix(name, extension)
	}
	switch filepath.Ext(name) {
	case ".csv":
		return separated, "", p
	case ".tsv", ".tab":
		return separated, "\t", p
	case ".psv":
		return separated, "|", p
	case ".json", ".jsonl", ".ndjson":
		return jsonRows, "", p
	case ".parquet", ".pq":
		return parquetFile, "", p
	case ".npy":
		return npyArray, "", p
	case ".npz":
		return npzArchive, "", p
	}
	return unknown, "", p
}

// packed says how the content that begins with start is compressed.
func packed(start []byte) packing {
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		return gzipped
	case bytes.HasPrefix(start, []byte("\x28\xb5\x2f\xfd")):
		return zstandard
	}
	return plain
}

// binary says which binary format begins with start; unknown if it is none of those
// that are read, and foreign is its name if it is another known one.
func binaryFormat(start []byte) (f fileFormat, foreign, fix string) {
	const asCSV = "save the table as CSV or Parquet"
	has := func(magic string) bool { return bytes.HasPrefix(start, []byte(magic)) }
	isZip := has("PK\x03\x04") || has("PK\x05\x06")
	switch {
	case has("PAR1"):
		return parquetFile, "", ""
	case has("PARE"):
		return unknown, "an encrypted Parquet file", "write it without encryption"
	case has("\x93NUMPY"):
		return npyArray, "", ""
	case isZip && (bytes.Contains(start, []byte("[Content_Types].xml")) || bytes.Contains(start, []byte("xl/"))), has("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
		return unknown, "an office document", "save the sheet as CSV"
	case isZip:
		return npzArchive, "", ""
	case has("\x1f\x8b"), has("\x28\xb5\x2f\xfd"):
		return unknown, "compressed twice", "decompress it once"
	case has("BZh"):
		return unknown, "compressed by bzip2", "compress it by gzip or Zstandard"
	case has("\xfd7zXZ\x00"):
		return unknown, "compressed by xz", "compress it by gzip or Zstandard"
	case has("ARROW1"), has("FEA1"):
		return unknown, "an Arrow or Feather file", "save the table as Parquet"
	case has("Obj\x01"):
		return unknown, "an Avro file", asCSV
	case has("ORC"):
		return unknown, "an ORC file", asCSV
	case has("\x89HDF\r\n\x1a\n"):
		return unknown, "an HDF5 file", asCSV
	case has("SQLite format 3\x00"):
		return unknown, "a SQLite database", asCSV
	case has("%PDF-"):
		return unknown, "a PDF document", asCSV
	case has("\x89PNG\r\n\x1a\n"), has("\xff\xd8\xff"), has("GIF8"):
		return unknown, "an image", "name a table, or a folder of images"
	case has("\x80\x02"), has("\x80\x03"), has("\x80\x04"), has("\x80\x05"):
		return unknown, "a pickle of Python", "save the table as CSV or Parquet, for example by pandas' to_parquet"
	}
	return unknown, "", ""
}

// looksLikeJSON reports whether a text begins with an object, or a list that begins with
// one or is empty.
func looksLikeJSON(start []byte) bool {
	start = bytes.TrimLeft(start, " \t\r\n")
	if bytes.HasPrefix(start, []byte("[")) {
		start = bytes.TrimLeft(start[1:], " \t\r\n")
		return len(start) > 0 && (start[0] == '{' || start[0] == ']')
	}
	if !bytes.HasPrefix(start, []byte("{")) {
		return false
	}
	start = bytes.TrimLeft(start[1:], " \t\r\n")
	return len(start) > 0 && (start[0] == '"' || start[0] == '}')
}

// contradiction is the error about a file whose name says something else than its content.
func contradiction(path, content, name, fix string) error {
	return &fault.DataError{File: path, Problem: "is " + content + " by its content, and " + name + " by its name", Fix: fix}
}
