// Package api owns the published language of Reprise: the training request
// that users write as YAML or JSON, its JSON Schema
// (training-request.schema.json), its canonical form, and the errors that point
// at file, line and column.
//
// A request goes one way: ParseTrainingRequest checks it against the schema and
// against every rule that needs no data; DatasetReference says which data it
// means; FromExternalRequest translates it, together with that data, into the
// domain's terms and starts a session. What the domain refuses on the way is
// traced back to the place in the file by TrainingRequest.Locate.
//
// Refused are unknown and repeated keys, anchors, aliases and tags, several
// documents in one file, and anything that YAML would have to guess: text where
// a number is due, a fraction where a whole number is, numbers that a 32-bit
// float cannot hold. A mistake never panics: it becomes a *RequestError that
// names field, value and fix.
//
// A TrainingRequest is a value; nobody writes to it once it is parsed, so that
// goroutines may share it. The package starts no goroutine, reads no clock and
// writes nothing; only DatasetReference looks at the file system.
package api
