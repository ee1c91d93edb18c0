package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"reprise/api"
)

// addRowFlags adds the flags of commands that use a model on a file, beside the one that names
// the file.
func addRowFlags(flags *pflag.FlagSet, rows *api.Rows, step *uint64) {
	flags.Var((*stepFlag)(step), "step", "use the checkpoint of the run at step `N` (default: the one with the best monitored figure)")
	flags.StringVar(&rows.Encoding, "encoding", "", "read the text of the file as `NAME`, such as latin1 (default: UTF-8)")
	flags.StringVar(&rows.Separator, "separator", "", "`CHARACTER` between the cells of a line (default: found out)")
}

// modelArguments are what sets the fields of a request that name a model, and its rows, whose
// file a flag names.
func modelArguments(rows, flag string) []argument {
	return []argument{
		{field: "run", flag: "RUN"}, {field: "bundle", flag: "BUNDLE"}, {field: "step", flag: "--step"},
		{field: rows + ".path", flag: flag}, {field: rows + ".encoding", flag: "--encoding"}, {field: rows + ".separator", flag: "--separator"},
	}
}

// inputRows copies standard input to a temporary file where that is the input: formats are
// told apart by their content, and some are not read from beginning to end. remove deletes
// the file.
func (env *environment) inputRows(rows *api.Rows) (remove func() error, err error) {
	if rows.Path != "-" {
		return func() error { return nil }, nil
	}
	folder, err := os.MkdirTemp("", "reprise-input-")
	if err != nil {
		return nil, err
	}
	remove = func() error { return os.RemoveAll(folder) }
	in := bufio.NewReader(env.stdin)
	start, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, remove())
	}
	path := filepath.Join(folder, "standard-input"+endingOf(start))
	f, err := os.Create(path)
	if err == nil {
		_, err = io.Copy(f, in)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	rows.Path = api.Text(path)
	return remove, nil
}

// endingOf returns the ending that a file that begins so needs: a compressed one is told by
// its name, too.
func endingOf(start []byte) string {
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		return ".gz"
	case bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return ".zst"
	}
	return ""
}
