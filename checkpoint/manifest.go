package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"reprise/fault"
)

const (
	manifestFormat  = "reprise.checkpoint"
	manifestVersion = 1
	maxManifest     = 64 << 20
	maxDocument     = 256 << 20
)

// manifest says what a checkpoint is and pins its files.
type manifest struct {
	Format    string      `json:"format"`
	Version   int         `json:"version"`
	RunID     string      `json:"run_id"`
	SessionID string      `json:"session_id"`
	Step      uint64      `json:"step"`
	Epoch     uint64      `json:"epoch"`
	Files     []fileEntry `json:"files"` // the weights, then the optimiser's moments
	// Metrics are in the shortest form that gives the same float64 back.
	Metrics map[string]float64 `json:"metrics"`
	// Preprocessing pins the document; nil for a checkpoint without one.
	Preprocessing *documentEntry `json:"preprocessing,omitempty"`
}

type documentEntry struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

type fileEntry struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Tensors are the names in the order of Content.
	Tensors []string `json:"tensors"`
}

// encode returns the one form in which a manifest is written.
func (m manifest) encode() ([]byte, error) {
	if m.Metrics == nil {
		m.Metrics = map[string]float64{}
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	if len(raw) >= maxManifest {
		return nil, &fault.FieldError{Field: "manifest", Value: fmt.Sprintf("%d bytes", len(raw)), Problem: "are too many",
			Fix: fmt.Sprintf("a manifest has at most %d", maxManifest), Cause: ErrContent}
	}
	return append(raw, '\n'), nil
}

// decodeManifest reads what encode wrote and nothing else. It fails with *VersionError
// for an unknown version.
func decodeManifest(raw []byte) (manifest, error) {
	var m manifest
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	malformed := d.Decode(&m)
	// Fields of another version must not hide which version it is.
	head := struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}{m.Format, m.Version}
	if malformed != nil || d.More() {
		if err := json.Unmarshal(raw, &head); err != nil {
			return manifest{}, err
		}
	}
	switch {
	case head.Format != manifestFormat:
		return manifest{}, fmt.Errorf("its format is %s instead of %q", shorten(head.Format), manifestFormat)
	case head.Version != manifestVersion:
		return manifest{}, &VersionError{Got: head.Version, Known: manifestVersion}
	case malformed != nil:
		return manifest{}, malformed
	}
	if len(m.Files) != 2 || m.Files[0].Name != weightsFile || m.Files[1].Name != optimizerFile {
		return manifest{}, fmt.Errorf("its files are not %s and %s", weightsFile, optimizerFile)
	}
	if d := m.Preprocessing; d != nil && d.Name != documentFile {
		return manifest{}, fmt.Errorf("its preprocessing document is not %s", documentFile)
	}
	// Keys that appear twice, or in another case or order, and anything after the
	// object: encoding/json accepts what encode never writes.
	again, err := m.encode()
	if err != nil {
		return manifest{}, err
	}
	if !bytes.Equal(again, raw) {
		return manifest{}, errors.New("it is not in the form that manifests are written in")
	}
	return m, nil
}
