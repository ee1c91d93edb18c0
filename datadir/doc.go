// Package datadir owns the folders and files of a data directory: where they lie
// (Workspace), how the one writing process opens them (Open), whether they agree with
// the event log (CheckFiles), how they are copied (Backup, CopyRunFiles) and saved from a
// damaged log (Salvage), and what helps if one cannot be used (Remedy).
//
// It refuses to write where the log is older than the files. It is given the store by
// its caller, and knows no kind of store.
package datadir
