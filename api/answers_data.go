package api

import (
	"reprise/eventstore"
	"reprise/training"
)

// ProjectionsRequest asks for the read models.
type ProjectionsRequest struct{}

// ProjectionList are the read models that are kept beside the log.
type ProjectionList struct {
	Projections []Projection `json:"projections"`
}

// Projection says up to where a read model is stored.
type Projection struct {
	Name     string              `json:"name"`
	Position eventstore.Position `json:"position"`
	// Lag is the number of events after the position, which readers have to fold.
	Lag    eventstore.Position `json:"lag"`
	Schema int                 `json:"schema"`
	Bytes  int                 `json:"bytes"`
}

// RebuildRequest names the read models to fold again.
type RebuildRequest struct {
	// Projections are their names; none stands for all of them, and the snapshots of
	// devices.
	Projections []string `json:"projections,omitempty"`
}

// RebuildReport says what was folded again.
type RebuildReport struct {
	Projections []RebuiltProjection `json:"projections"`
}

// RebuiltProjection is a read model that was folded again.
type RebuiltProjection struct {
	Name   string              `json:"name"`
	Events eventstore.Position `json:"events"`
	// Same says that what was kept, brought up to date, equals it byte by byte.
	Same bool `json:"same"`
}

// BackupRequest asks for a copy of the data directory.
type BackupRequest struct {
	// Folder is the absolute path of the folder to make. It does not exist yet, but
	// the one that it lies in does, and is not in the data directory.
	Folder string `json:"folder"`
}

// BackupReport says what a backup or a restore copied.
type BackupReport struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Position and HeadHash stand for everything that is in the copy.
	Position eventstore.Position `json:"position"`
	HeadHash eventstore.Hash     `json:"head_hash"`
	RunFiles
}

// RunFiles counts the copied files of runs.
type RunFiles struct {
	Runs        int `json:"runs"`
	Checkpoints int `json:"checkpoints"`
}

// SalvageReport says what was saved of a damaged data directory.
type SalvageReport struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Complete is true where nothing shows that anything is missing.
	Complete bool `json:"complete"`
	// Closed is false where the damaged directory has a write-ahead log, since the
	// process that wrote it was killed.
	Closed   bool                `json:"closed"`
	Events   eventstore.Position `json:"events"`
	HeadHash eventstore.Hash     `json:"head_hash"`
	// Missing are the positions without a whole event.
	Missing []MissingEvents `json:"missing"`
	// Rest counts the whole events that are not in the log, but in RestFile.
	Rest int `json:"rest"`
	// Unacknowledged counts those of the rest that nothing shows to have been
	// committed; Other counts those that do not belong to the chain of the log.
	Unacknowledged int    `json:"unacknowledged"`
	Other          int    `json:"other"`
	RestFile       string `json:"rest_file,omitempty"`
	RunFiles
	LostFiles []LostFiles `json:"lost_files"`
	// UnknownFiles are the files and folders of runs, below UnknownFolder, that the
	// log does not know and once did.
	UnknownFiles  []string `json:"unknown_files"`
	UnknownFolder string   `json:"unknown_folder,omitempty"`
}

// MissingEvents are the events from one position to another. Last is 0 where it is not
// known how many they are.
type MissingEvents struct {
	First eventstore.Position `json:"first"`
	Last  eventstore.Position `json:"last,omitempty"`
	What  string              `json:"what,omitempty"`
	// Uncertain is true where it is not known whether there were any.
	Uncertain bool `json:"uncertain,omitempty"`
}

// LostFiles names a checkpoint, or the step series of a run, that could not be copied.
type LostFiles struct {
	Run  training.RunID `json:"run_id"`
	What string         `json:"what"`
}
