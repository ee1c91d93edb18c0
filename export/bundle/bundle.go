// Package bundle owns the files in which a trained model leaves Reprise with everything
// that prediction needs: the weights, the architecture, the preprocessing document and
// where the model comes from. A bundle is a folder, or a tar archive of the same files:
//
//	manifest.json        the other files, with their SHA-256, and its own
//	model.json           the architecture and the lineage
//	preprocessing.json   the document of package preprocess
//	model.safetensors    the weights, byte for byte those of the checkpoint
//
// The bytes follow from the model alone. Open accepts nothing else: a file more or less,
// or a changed byte in any of them, is a *fault.DataError that names the file.
//
// Functions are safe for concurrent use; they keep no state.
package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"reprise/checkpoint"
	"reprise/dataset/preprocess"
	"reprise/fault"
	"reprise/nn"
	"reprise/tensor"
)

// The files of a bundle.
const (
	manifestFile      = "manifest.json"
	modelFile         = "model.json"
	preprocessingFile = "preprocessing.json"
	weightsFile       = "model.safetensors"
)

const (
	format  = "reprise.bundle"
	version = 1
)

// Bundle is a trained model with all that prediction needs.
type Bundle struct {
	Architecture nn.Architecture
	// Weights are in the order of Architecture.Parameters.
	Weights       []tensor.Tensor
	Preprocessing preprocess.Document
	Lineage       Lineage
	// ClassCounts is how often each class occurs in the data that the model was trained on:
	// what the trivial baseline of an evaluation needs. It is nil where that is not known.
	ClassCounts []int
}

// Lineage says where a model comes from. Hashes are SHA-256 in lower-case hex.
type Lineage struct {
	Run string `json:"run"`
	// RequestSHA256 is that of the request in canonical JSON; "" where none is on record.
	RequestSHA256 string `json:"request_sha256,omitempty"`
	Step          uint64 `json:"step"`
	Epoch         uint64 `json:"epoch"`
	// CheckpointSHA256 is that of the checkpoint's manifest.
	CheckpointSHA256   string `json:"checkpoint_sha256"`
	WeightsSHA256      string `json:"weights_sha256"`
	DatasetFingerprint string `json:"dataset_fingerprint"`
	// Version is that of the build that wrote the bundle.
	Version string `json:"reprise_version"`
}

// File is a file of a bundle, or the archive of all of them.
type File struct {
	Name string
	Size int64
	// Write writes its content, the same bytes each time.
	Write func(io.Writer) error
}

// manifest pins the other files.
type manifest struct {
	Format  string  `json:"format"`
	Version int     `json:"version"`
	Files   []entry `json:"files"`
	// SHA256 is that of the manifest in which it is "".
	SHA256 string `json:"sha256"`
}

type entry struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// description is the content of model.json.
type description struct {
	Architecture nn.Architecture `json:"architecture"`
	Lineage      Lineage         `json:"lineage"`
	ClassCounts  []int           `json:"class_counts,omitempty"`
}

// Files returns the files of the bundle's folder. It fails for weights that are not those
// of the architecture and for a document that is not valid, or not about such a model.
func (b Bundle) Files() ([]File, error) {
	if err := b.validate(); err != nil {
		return nil, err
	}
	model, err := encodeJSON(description{b.Architecture, b.Lineage, b.ClassCounts})
	if err != nil {
		return nil, err
	}
	document, err := b.Preprocessing.Marshal()
	if err != nil {
		return nil, err
	}
	files := []File{
		content(modelFile, model), content(preprocessingFile, document),
		{Name: weightsFile, Write: func(w io.Writer) error { return checkpoint.EncodeSafetensors(w, b.Weights) }},
	}
	m := manifest{Format: format, Version: version}
	for i := range files {
		f := &files[i]
		sum := &counter{}
		hash := sha256.New()
		if err := f.Write(io.MultiWriter(hash, sum)); err != nil {
			return nil, err
		}
		f.Size = sum.n
		m.Files = append(m.Files, entry{f.Name, f.Size, hex.EncodeToString(hash.Sum(nil))})
	}
	raw, err := m.encode()
	if err != nil {
		return nil, err
	}
	return append([]File{content(manifestFile, raw)}, files...), nil
}

func content(name string, raw []byte) File {
	return File{Name: name, Size: int64(len(raw)), Write: func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	}}
}

// counter counts the bytes that are written to it.
type counter struct{ n int64 }

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func encodeJSON(v any) ([]byte, error) {
	raw, err := json.MarshalIndent(v, "", "  ")
	return append(raw, '\n'), err
}

// encode returns the one form of a manifest, with its hash.
func (m manifest) encode() ([]byte, error) {
	m.SHA256 = ""
	raw, err := encodeJSON(m)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	m.SHA256 = hex.EncodeToString(sum[:])
	return encodeJSON(m)
}

// validate fails unless weights, architecture and document fit each other.
func (b Bundle) validate() error {
	spec := nn.NewModelSpec("bundle", b.Architecture)
	if err := (nn.Model{ID: spec.ID, Architecture: b.Architecture, Parameters: b.Weights, Version: spec.Version}).Validate(); err != nil {
		return err
	}
	encoder, err := preprocess.NewEncoder(b.Preprocessing)
	if err != nil {
		return err
	}
	out, err := b.Architecture.Output()
	if err != nil {
		return err
	}
	d := b.Preprocessing
	if d.Text != nil {
		if !b.Architecture.TakesTokens() || !b.Architecture.Input.Equal(tensor.Shape{d.Text.Context}) {
			return fmt.Errorf("the preprocessing document is about %d tokens, the model takes %v", d.Text.Context, b.Architecture.Input)
		}
		return nil
	}
	inputs := tensor.Shape{encoder.Features()}
	if d.Pixels != nil {
		inputs = d.Pixels.Shape
	}
	if !b.Architecture.Input.Equal(inputs) {
		return fmt.Errorf("the preprocessing document gives inputs of shape %v, the model takes %v", inputs, b.Architecture.Input)
	}
	if n := len(b.ClassCounts); n > 0 && n != len(d.Target.Classes) || slices.ContainsFunc(b.ClassCounts, func(count int) bool { return count < 0 }) {
		return fmt.Errorf("the counts %v are not those of %d classes", b.ClassCounts, len(d.Target.Classes))
	}
	if n := len(d.Target.Classes) + len(d.Target.Quantities); !out.Equal(tensor.Shape{n}) {
		return fmt.Errorf("the preprocessing document names %d outputs, the model gives %v", n, out)
	}
	return nil
}

// Decode returns the bundle that the files of a folder or an archive hold, by name. at is
// what errors call it.
func Decode(at string, files map[string][]byte) (Bundle, error) {
	m, err := decodeManifest(at, files)
	if err != nil {
		return Bundle{}, err
	}
	known := map[string]bool{manifestFile: true}
	for _, e := range m.Files {
		known[e.Name] = true
		raw, ok := files[e.Name]
		if !ok {
			return Bundle{}, bad(at, e.Name, "is missing")
		}
		if sum := sha256.Sum256(raw); int64(len(raw)) != e.Bytes || hex.EncodeToString(sum[:]) != e.SHA256 {
			return Bundle{}, bad(at, e.Name, fmt.Sprintf("was changed: its SHA-256 is %x instead of %s", sum, e.SHA256))
		}
	}
	for name := range files {
		if !known[name] {
			return Bundle{}, bad(at, name, "is not a file of a bundle")
		}
	}
	var d description
	if err := strictJSON(files[modelFile], &d); err != nil {
		return Bundle{}, bad(at, modelFile, err.Error())
	}
	b := Bundle{Architecture: d.Architecture, Lineage: d.Lineage, ClassCounts: d.ClassCounts}
	if b.Preprocessing, err = preprocess.Parse(files[preprocessingFile]); err != nil {
		return Bundle{}, bad(at, preprocessingFile, err.Error())
	}
	raw := files[weightsFile]
	found, err := checkpoint.DecodeSafetensors(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return Bundle{}, bad(at, weightsFile, err.Error())
	}
	specs, err := b.Architecture.Parameters()
	if err != nil {
		return Bundle{}, bad(at, modelFile, err.Error())
	}
	byName := map[string]tensor.Tensor{}
	for _, t := range found {
		byName[t.Name] = t
	}
	for _, spec := range specs {
		t, ok := byName[spec.Name]
		if !ok || len(found) != len(specs) {
			return Bundle{}, bad(at, weightsFile, fmt.Sprintf("has %d tensors, the architecture has %d; the first that differs is %q", len(found), len(specs), spec.Name))
		}
		b.Weights = append(b.Weights, t)
	}
	if err := b.validate(); err != nil {
		return Bundle{}, bad(at, modelFile, err.Error())
	}
	return b, nil
}

// decodeManifest reads what encode wrote and nothing else.
func decodeManifest(at string, files map[string][]byte) (manifest, error) {
	raw, ok := files[manifestFile]
	if !ok {
		e := bad(at, manifestFile, "is missing")
		e.Fix = "name a bundle that was written by exporting a model as a bundle"
		return manifest{}, e
	}
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return manifest{}, bad(at, manifestFile, err.Error())
	}
	if head.Format == format && head.Version > version {
		e := bad(at, manifestFile, fmt.Sprintf("is of version %d of bundles; this build reads %d", head.Version, version))
		e.Fix = "use a newer reprise"
		return manifest{}, e
	}
	var m manifest
	if err := strictJSON(raw, &m); err != nil {
		return manifest{}, bad(at, manifestFile, err.Error())
	}
	again, err := m.encode()
	if err != nil {
		return manifest{}, err
	}
	names := make([]string, len(m.Files))
	for i, e := range m.Files {
		names[i] = e.Name
	}
	if !bytes.Equal(again, raw) || m.Format != format || m.Version != version ||
		len(names) != 3 || names[0] != modelFile || names[1] != preprocessingFile || names[2] != weightsFile {
		return manifest{}, bad(at, manifestFile, "was changed since it was written")
	}
	return m, nil
}

func strictJSON(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows its end")
	}
	return nil
}

// bad is the error about a file of a bundle.
func bad(at, file, problem string) *fault.DataError {
	return &fault.DataError{File: join(at, file), Problem: problem, Fix: "export the model again"}
}
