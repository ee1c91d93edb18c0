package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"reprise/fault"
	"reprise/tensor"
)

// content returns a small content whose tensors are in no order by name.
func content(step uint64) Content {
	v := float32(step)
	return Content{
		RunID: "run-7", SessionID: "session-7", Step: step, Epoch: step / 2,
		Weights: []tensor.Tensor{
			{Name: "layers.10.weight", Shape: tensor.Shape{2, 3}, Data: []float32{v, -0.5, 3e-39, math.MaxFloat32, 1, float32(math.Copysign(0, -1))}},
			{Name: "layers.2.weight", Shape: tensor.Shape{2}, Data: []float32{v + 1, 2}},
			{Name: "layers.2.bias", Shape: tensor.Shape{}, Data: []float32{v + 2}},
			{Name: "layers.3.bias", Shape: tensor.Shape{0, 4}, Data: []float32{}},
		},
		Optimizer: []tensor.Tensor{
			{Name: "layers.2.weight.m", Shape: tensor.Shape{2}, Data: []float32{0.25, v}},
			{Name: "layers.10.weight.m", Shape: tensor.Shape{1}, Data: []float32{-v}},
		},
		Metrics: map[string]float64{"loss": 0.1 + v64(step), "tiny": math.SmallestNonzeroFloat64, "minus zero": math.Copysign(0, -1), "max": math.MaxFloat64},
	}
}

func v64(step uint64) float64 { return 1 / float64(step+3) }

func TestACheckpointComesBackAsItWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "checkpoints")
	for _, step := range []uint64{0, 1407, 123_456_789, math.MaxUint64} {
		want := content(step)
		ref, err := Write(dir, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(dir, ref)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v\nwant %+v", got, err, want)
		}
		for i, w := range want.Weights {
			for j, v := range w.Data {
				if math.Float32bits(got.Weights[i].Data[j]) != math.Float32bits(v) {
					t.Errorf("%s[%d] has other bits", w.Name, j)
				}
			}
		}
		for key, v := range want.Metrics {
			if math.Float64bits(got.Metrics[key]) != math.Float64bits(v) {
				t.Errorf("metric %s has other bits", key)
			}
		}
		if err := Verify(dir, ref); err != nil {
			t.Error(err)
		}
	}
	if names, _ := osFiles().Names(dir); !slices.Equal(names, []string{"step-00000000", "step-00001407", "step-123456789", "step-18446744073709551615"}) {
		t.Errorf("the folders are %q", names)
	}
}

func TestARunWithoutMomentsOrMetricsIsACheckpointToo(t *testing.T) {
	c := content(1)
	c.Optimizer, c.Metrics = nil, nil
	dir := t.TempDir()
	ref, err := Write(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir, ref)
	if err != nil || len(got.Optimizer) != 0 || len(got.Metrics) != 0 || !reflect.DeepEqual(got.Weights, c.Weights) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWeightsSHA256IsThatOfTheFileAndDependsOnWeightsAlone(t *testing.T) {
	dir := t.TempDir()
	ref, err := Write(dir, content(1))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, ref.Dir, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	if ref.WeightsSHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%s is not the file's SHA-256", ref.WeightsSHA256)
	}
	same := content(1).Weights
	slices.Reverse(same)
	if got, err := WeightsSHA256(same); err != nil || got != ref.WeightsSHA256 {
		t.Errorf("in another order: %s, %v", got, err)
	}
	another := content(1)
	another.RunID, another.SessionID, another.Step, another.Epoch, another.Metrics, another.Optimizer = "r", "s", 9, 9, nil, nil
	if r, err := Write(dir, another); err != nil || r.WeightsSHA256 != ref.WeightsSHA256 {
		t.Errorf("in another run: %s, %v", r.WeightsSHA256, err)
	}
	for name, change := range map[string]func([]tensor.Tensor){
		"value":     func(w []tensor.Tensor) { w[1].Data[0]++ },
		"sign of 0": func(w []tensor.Tensor) { w[0].Data[5] = 0 },
		"name":      func(w []tensor.Tensor) { w[1].Name += "x" },
		"shape":     func(w []tensor.Tensor) { w[1].Shape = tensor.Shape{1, 2} },
	} {
		w := content(1).Weights
		change(w)
		if got, err := WeightsSHA256(w); err != nil || got == ref.WeightsSHA256 {
			t.Errorf("another %s gives the same SHA-256 (%v)", name, err)
		}
	}
}

// TestTheBytesArePinned fails where a change would give other hashes to the
// weights of every run there is.
func TestTheBytesArePinned(t *testing.T) {
	weights := []tensor.Tensor{
		{Name: "layers.10.weight", Shape: tensor.Shape{1}, Data: []float32{2}},
		{Name: "layers.9.weight", Shape: tensor.Shape{1, 2}, Data: []float32{1, -1}},
	}
	var b strings.Builder
	if err := encode(&b, weights); err != nil {
		t.Fatal(err)
	}
	const header = `{"layers.9.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"layers.10.weight":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`
	want := "\x90\x00\x00\x00\x00\x00\x00\x00" + header + strings.Repeat(" ", 0x90-len(header)) +
		"\x00\x00\x80\x3f\x00\x00\x80\xbf\x00\x00\x00\x40"
	if b.String() != want {
		t.Errorf("%q\nwant %q", b.String(), want)
	}
	dir := t.TempDir()
	ref, err := Write(dir, Content{RunID: "r", SessionID: "s", Step: 3, Epoch: 1, Weights: weights, Metrics: map[string]float64{"b": 0.1, "a": 1e-7}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, ref.Dir, manifestFile))
	if err != nil {
		t.Fatal(err)
	}
	empty := sha256.Sum256([]byte("\x08\x00\x00\x00\x00\x00\x00\x00{}      "))
	wantManifest := fmt.Sprintf(`{
  "format": "reprise.checkpoint",
  "version": 1,
  "run_id": "r",
  "session_id": "s",
  "step": 3,
  "epoch": 1,
  "files": [
    {
      "name": "model.safetensors",
      "bytes": 164,
      "sha256": "%x",
      "tensors": [
        "layers.10.weight",
        "layers.9.weight"
      ]
    },
    {
      "name": "optimizer.safetensors",
      "bytes": 16,
      "sha256": "%x",
      "tensors": []
    }
  ],
  "metrics": {
    "a": 1e-7,
    "b": 0.1
  }
}
`, sha256.Sum256([]byte(want)), empty)
	if string(raw) != wantManifest {
		t.Errorf("%s\nwant %s", raw, wantManifest)
	}
}

func TestWhatCannotBeReadBackIsNotWritten(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, change := range map[string]func(*Content){
		"NaN weight":            func(c *Content) { c.Weights[1].Data[1] = nan },
		"infinite weight":       func(c *Content) { c.Weights[1].Data[1] = inf },
		"infinite moment":       func(c *Content) { c.Optimizer[0].Data[0] = -inf },
		"NaN metric":            func(c *Content) { c.Metrics["x"] = math.NaN() },
		"infinite metric":       func(c *Content) { c.Metrics["x"] = math.Inf(-1) },
		"metric not UTF-8":      func(c *Content) { c.Metrics["\xff"] = 1 },
		"name twice":            func(c *Content) { c.Weights[0].Name = c.Weights[1].Name },
		"moment's name twice":   func(c *Content) { c.Optimizer[0].Name = c.Optimizer[1].Name },
		"no name":               func(c *Content) { c.Weights[0].Name = "" },
		"name not UTF-8":        func(c *Content) { c.Weights[0].Name = "\xff" },
		"name of the metadata":  func(c *Content) { c.Weights[0].Name = metadataKey },
		"endless name":          func(c *Content) { c.Weights[0].Name = strings.Repeat("x", maxTensorName+1) },
		"too few values":        func(c *Content) { c.Weights[0].Data = c.Weights[0].Data[1:] },
		"a negative dimension":  func(c *Content) { c.Weights[0].Shape = tensor.Shape{-1} },
		"too many dimensions":   func(c *Content) { c.Weights[0].Shape = make(tensor.Shape, tensor.MaxRank+1) },
		"no weights":            func(c *Content) { c.Weights = nil },
		"no run":                func(c *Content) { c.RunID = "" },
		"a session not UTF-8":   func(c *Content) { c.SessionID = "\xff" },
		"overflowing dimension": func(c *Content) { c.Weights[0].Shape = tensor.Shape{math.MaxInt, 2} },
	} {
		t.Run(name, func(t *testing.T) {
			c := content(1)
			change(&c)
			dir := filepath.Join(t.TempDir(), "checkpoints")
			ref, err := Write(dir, c)
			var typed *fault.FieldError
			if !errors.As(err, &typed) || typed.Fix == "" || ref != (Ref{}) {
				t.Errorf("%+v, %v", ref, err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Error("something was written")
			}
			if _, err := WeightsSHA256(c.Weights); strings.Contains(name, "weight") && len(c.Weights) > 0 && err == nil {
				t.Error("WeightsSHA256 accepts it")
			}
		})
	}
}

func TestEveryFlippedBitIsCorruptionAndNamed(t *testing.T) {
	dir := t.TempDir()
	c := content(3)
	ref, err := Write(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{weightsFile, optimizerFile, manifestFile} {
		path := filepath.Join(dir, ref.Dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range whole {
			for _, mask := range []byte{1, 0x20, 0x80, 0xff} {
				whole[at] ^= mask
				mustWrite(t, path, whole)
				expectCorrupt(t, dir, ref, name, fmt.Sprintf("byte %d ^ %#x", at, mask))
				whole[at] ^= mask
			}
		}
		mustWrite(t, path, whole)
	}
	mustRead(t, osFiles(), dir, ref, c)
}

func mustWrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// expectCorrupt fails unless Read and Verify name the file.
func expectCorrupt(t *testing.T, dir string, ref Ref, file, what string) {
	t.Helper()
	got, err := Read(dir, ref)
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || corrupt.File != file || corrupt.What == "" || !reflect.DeepEqual(got, Content{}) {
		t.Fatalf("%s: %s: Read = %v", file, what, err)
	}
	if again := Verify(dir, ref); again == nil || again.Error() != err.Error() {
		t.Fatalf("%s: %s: Verify = %v, Read = %v", file, what, again, err)
	}
}

func TestEveryTruncationAndAdditionIsCorruption(t *testing.T) {
	dir := t.TempDir()
	ref, err := Write(dir, content(3))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{weightsFile, optimizerFile, manifestFile} {
		path := filepath.Join(dir, ref.Dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n := range whole {
			mustWrite(t, path, whole[:n])
			expectCorrupt(t, dir, ref, name, fmt.Sprintf("cut to %d bytes", n))
		}
		for _, tail := range []string{"\x00", " ", "\n"} {
			mustWrite(t, path, append(slices.Clone(whole), tail...))
			expectCorrupt(t, dir, ref, name, "with a byte after it")
		}
		mustWrite(t, path, whole)
	}
}

func TestWhatIsMissingOrNoFileIsCorruption(t *testing.T) {
	for _, name := range []string{weightsFile, optimizerFile, manifestFile, ""} {
		dir := t.TempDir()
		ref, err := Write(dir, content(3))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, ref.Dir, name)
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		expectCorrupt(t, dir, ref, name, "missing")
		if name == "" {
			mustWrite(t, path, nil)
			expectCorrupt(t, dir, ref, name, "a file")
		} else {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			expectCorrupt(t, dir, ref, name, "a folder")
		}
	}
}

func TestOnlyWhatTheRefPinsIsRead(t *testing.T) {
	dir := t.TempDir()
	ref, err := Write(dir, content(3))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := Write(dir, content(4))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Ref){
		"other weights":      func(r *Ref) { r.WeightsSHA256 = elsewhere.WeightsSHA256 },
		"other manifest":     func(r *Ref) { r.ManifestSHA256 = elsewhere.ManifestSHA256 },
		"upper-case hash":    func(r *Ref) { r.ManifestSHA256 = strings.ToUpper(r.ManifestSHA256) },
		"another step":       func(r *Ref) { r.Step = 4 },
		"another epoch":      func(r *Ref) { r.Epoch++ },
		"another folder":     func(r *Ref) { r.Dir = elsewhere.Dir },
		"a folder elsewhere": func(r *Ref) { r.Dir = "../" + filepath.Base(dir) + "/" + r.Dir },
		"no folder":          func(r *Ref) { r.Dir = "" },
		"nothing":            func(r *Ref) { *r = Ref{} },
	} {
		wrong := ref
		change(&wrong)
		var corrupt *CorruptError
		if got, err := Read(dir, wrong); !errors.As(err, &corrupt) || !reflect.DeepEqual(got, Content{}) {
			t.Errorf("%s: Read = %v", name, err)
		}
		if err := Verify(dir, wrong); !errors.As(err, &corrupt) {
			t.Errorf("%s: Verify = %v", name, err)
		}
	}
}

// TestManifestsThatWereNeverWrittenAreRefused replaces the manifest together
// with the hash that pins it.
func TestManifestsThatWereNeverWrittenAreRefused(t *testing.T) {
	for name, change := range map[string]struct{ old, new, want string }{
		"a newer version":    {`"version": 1`, `"version": 2`, "upgrade reprise"},
		"no version":         {`"version": 1`, `"version": 0`, "the format has no version 0"},
		"an unknown field":   {`"step"`, `"colour": "red", "step"`, "unknown field"},
		"another format":     {manifestFormat, "other", "format"},
		"a key twice":        {`"step": 3,`, `"step": 3, "step": 3,`, "not in the form"},
		"a key in capitals":  {`"step"`, `"STEP"`, "not in the form"},
		"another order":      {`"step": 3,` + "\n  " + `"epoch": 1`, `"epoch": 1,` + "\n  " + `"step": 3`, "not in the form"},
		"something after it": {"  }\n}\n", "  }\n}\n{}", "invalid character"},
		"a file renamed":     {weightsFile, "weights", "its files are not"},
		"a tensor unnamed":   {"\"layers.10.weight\",\n        ", ``, "has 4 tensors"},
		"a tensor named twice": {`"layers.2.bias"`, `"layers.3.bias"`,
			"named before"},
		"a negative size": {`"bytes": `, `"bytes": -`, "instead of -"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ref, err := Write(dir, content(3))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, ref.Dir, manifestFile)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(raw), change.old, change.new, 1)
			if changed == string(raw) {
				t.Fatal("nothing was changed")
			}
			mustWrite(t, path, []byte(changed))
			sum := sha256.Sum256([]byte(changed))
			ref.ManifestSHA256 = hex.EncodeToString(sum[:])
			if _, err := Read(dir, ref); err == nil || !strings.Contains(err.Error(), change.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%v, want %q", err, change.want)
			}
		})
	}
}

func TestSweepRemovesWhatNobodyRefersToAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	var refs []Ref
	f := Folder{Path: dir}
	for step := range uint64(4) {
		ref, err := f.WritePending(content(step), *noted())
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	foreign := []string{"notes", "step-1", "step-000000002", "step-x", ".step-2.part", "..step-00000002.part", ".step-00000002.tmp", "step-00000002.part"}
	for _, name := range append([]string{".step-00000009.part", ".step-00000001.aside"}, foreign...) {
		if err := os.MkdirAll(filepath.Join(dir, name, weightsFile), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, filepath.Join(dir, "step-00000008"), []byte("a file of somebody's"))
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "step-00000007")); err != nil {
		t.Fatal(err)
	}
	keep := []Ref{refs[1], refs[3]}
	swept, err := f.Sweep(keep, allLitter)
	want := []string{".step-00000001.aside", ".step-00000009.part", "step-00000000", "step-00000002"}
	if err != nil || !slices.Equal(swept.Removed, want) || swept.SetAside != nil || swept.Unmarked != nil {
		t.Errorf("%+v, %v; want %q removed", swept, err, want)
	}
	left, _ := osFiles().Names(dir)
	stay := append([]string{refs[1].Dir, refs[3].Dir, "step-00000007", "step-00000008"}, foreign...)
	slices.Sort(stay)
	if !slices.Equal(left, stay) {
		t.Errorf("left %q\nwant %q", left, stay)
	}
	for _, i := range []int{1, 3} {
		mustRead(t, osFiles(), dir, refs[i], content(uint64(i)))
	}
	if swept, err := f.Sweep(keep, allLitter); err != nil || !reflect.DeepEqual(swept, Swept{}) {
		t.Errorf("again: %+v, %v", swept, err)
	}
	if swept, err := (Folder{Path: filepath.Join(dir, "missing")}).Sweep(nil, allLitter); err != nil || !reflect.DeepEqual(swept, Swept{}) {
		t.Errorf("of nothing: %+v, %v", swept, err)
	}
}
