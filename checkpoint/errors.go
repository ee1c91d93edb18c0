package checkpoint

import (
	"fmt"
	"path/filepath"
)

// CorruptError says that a checkpoint is not what its Ref pins: a file is
// missing, or its content is not what was written.
type CorruptError struct {
	Folder string // the checkpoint's
	File   string // within Folder; "" where the folder itself is at fault
	What   string
}

// Error names the file and what is wrong with it.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("checkpoint is corrupt: %s: %s", filepath.Join(e.Folder, e.File), e.What)
}

// ContentError says that a content cannot be written.
type ContentError struct {
	Field   string // such as "weights: layers.0.weight"
	Value   string // "" where there is none to show
	Problem string
	Fix     string
}

// Error names field, value, problem and fix.
func (e *ContentError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s: %s; %s", e.Field, e.Problem, e.Fix)
	}
	return fmt.Sprintf("%s: %s %s; %s", e.Field, e.Value, e.Problem, e.Fix)
}

// VersionError says that a manifest is of a version that this program does not
// know: whole, but not for it to read.
type VersionError struct {
	Got, Known int
}

// Error names both versions and what to do.
func (e *VersionError) Error() string {
	if e.Got < 1 {
		return fmt.Sprintf("there is no version %d of the format; this program reads version %d", e.Got, e.Known)
	}
	return fmt.Sprintf("the checkpoint was written by a newer version of reprise (format version %d, this one reads %d): upgrade reprise", e.Got, e.Known)
}
