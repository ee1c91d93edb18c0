// Package api owns the published language of Reprise: the training request
// that users write as YAML or JSON, its JSON Schema
// (training-request.schema.json), its canonical form, and the errors that point
// at file, line and column.
//
// A request takes three steps. ParseTrainingRequest checks it against the schema and
// against every rule that needs no data; DatasetReference says which data it means;
// FromExternalRequest translates it, together with that data, into the domain's
// terms and starts a session. TrainingRequest.Locate finds the place in the file, or
// the setting, that something the domain refuses comes from.
//
// The package refuses unknown and repeated keys, anchors, aliases and tags, several
// documents in one file, and anything that would need guessing: text instead of a
// number, a fraction instead of a whole number, numbers that a 32-bit float cannot
// hold. A mistake never panics: it becomes a *RequestError that names field, value
// and fix. All mistakes that do not follow from each other are reported at once.
//
// A TrainingRequest is a value that is not changed once it is parsed, so goroutines
// may share it. The package starts no goroutines, reads no clock and writes nothing;
// only DatasetReference looks at the file system.
package api
