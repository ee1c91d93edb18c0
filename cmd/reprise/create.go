package main

import (
	"errors"
	"io"
	"path/filepath"
	"strings"

	"reprise/datadir"
	"reprise/fault"
	"reprise/internal/disk"
)

// createFile makes a file that does not exist yet, durably, whole or not at all. Errors
// about its path begin with the label, such as a flag, or with the path where there is
// none. check is asked about the path first; nil for none.
func (env *environment) createFile(label, file string, check func(field, path string) error, write func(io.Writer) error) error {
	return env.create("file", label, file, check, func(path string) error {
		return datadir.WriteNew("path", path, env.holder(env.command), write)
	})
}

// createFolder makes a folder that does not exist yet, durably, whole or not at all. It
// is createFile for a folder.
func (env *environment) createFolder(label, folder string, check func(field, path string) error, write func(folder string) error) error {
	return env.create("folder", label, folder, check, func(path string) error {
		return datadir.Publish("path", path, env.holder(env.command), func(part string) error {
			if err := disk.Or(nil).Mkdir(part, 0o755); err != nil {
				return err
			}
			return write(part)
		})
	})
}

// create has make make what does not exist yet at a path, which is made absolute. kind is
// what that is, such as "file".
func (env *environment) create(kind, label, path string, check func(field, path string) error, make func(path string) error) error {
	given := strings.TrimSpace(label + " " + path)
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := datadir.CheckNew("path", kind, path); err != nil {
		return ofPath(err, given)
	}
	if check != nil {
		if err := check("path", path); err != nil {
			return ofPath(err, given)
		}
	}
	return ofPath(make(path), given)
}

// ofPath makes a mistake in the field "path" speak of the path that was given for it.
func ofPath(err error, given string) error {
	var field *fault.FieldError
	if !errors.As(err, &field) || field.Field != "path" {
		return err
	}
	named := *field
	named.Field, named.Value = given, ""
	return &named
}
