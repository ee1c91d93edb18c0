package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCatalogueIsComplete(t *testing.T) {
	entries := catalogue()
	hash := regexp.MustCompile(`^[0-9a-f]{64}$`)
	for i, e := range entries {
		if i > 0 && entries[i-1].Name >= e.Name {
			t.Errorf("%s does not come after %s", e.Name, entries[i-1].Name)
		}
		if e.Title == "" || e.Description == "" || e.Source == "" || e.Licence == "" || !strings.HasPrefix(e.LicenceURL, "https://") {
			t.Errorf("%s: a text is missing: %+v", e.Name, e)
		}
		if e.Train < 1 || e.Validation < 1 || e.Task == Classification && len(e.ClassNames) != e.Classes || !slices.Contains(Tasks(), e.Task) || len(e.Files) == 0 {
			t.Errorf("%s: %+v", e.Name, e)
		}
		var bytes int64
		for _, f := range e.Files {
			bytes += f.Bytes
			if !hash.MatchString(f.SHA256) || f.Bytes <= 0 || f.Name != filepath.Base(f.Name) {
				t.Errorf("%s: file %+v", e.Name, f)
			}
		}
		if bytes != e.Bytes {
			t.Errorf("%s has %d bytes, its files %d", e.Name, e.Bytes, bytes)
		}
		if e.origin.module != "" {
			if want := e.origin.module + "@" + e.origin.version; e.Source != want {
				t.Errorf("%s: source %s, want %s", e.Name, e.Source, want)
			}
		}
	}
}

func TestCatalogueAgreesWithTheEmbeddedFiles(t *testing.T) {
	library, err := NewLibrary(Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		notice  string
	}{
		"digits": {digitsFile, "digits/NOTICE"}, "wine": {wineFile, "tables/NOTICE"}, "diabetes": {diabetesFile, "tables/NOTICE"},
	} {
		if err := library.Get(context.Background(), name); err != nil {
			t.Error(err)
		}
		e, _ := library.Lookup(name)
		if int64(len(c.content)) != e.Bytes || library.Status(e) != StatusEmbedded {
			t.Errorf("%s: %d bytes, the catalogue says %d; %s", name, len(c.content), e.Bytes, library.Status(e))
		}
		notice, err := os.ReadFile(c.notice)
		if err != nil || !strings.Contains(string(notice), e.Files[0].SHA256) {
			t.Errorf("%s does not name the file's hash: %v", c.notice, err)
		}
	}
}

func TestEntriesHaveStableKeys(t *testing.T) {
	raw, err := json.Marshal(catalogue()[0])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"name", "title", "description", "source", "bytes", "licence", "licence_url", "files", "task",
		"train_samples", "validation_samples", "sample_shape", "classes", "class_names",
	} {
		if _, ok := got[key]; !ok {
			t.Errorf("%s is missing in %s", key, raw)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		t.Errorf("more keys: %v", got)
	}
}

func TestEntriesAreCopies(t *testing.T) {
	library, err := NewLibrary(Config{CacheDir: "cache"})
	if err != nil {
		t.Fatal(err)
	}
	entries := library.Entries()
	entries[slices.IndexFunc(entries, func(e Entry) bool { return e.Name == "digits" })].ClassNames[0] = "changed"
	e, ok := library.Lookup("digits")
	if !ok || e.ClassNames[0] != "0" {
		t.Error("the catalogue changed through what it handed out")
	}
	if _, ok := library.Lookup("Digits"); ok {
		t.Error("names are not exact")
	}
	names := []string{}
	for _, e := range library.Entries() {
		names = append(names, e.Name)
	}
	if !slices.Equal(names, []string{"diabetes", "digits", "fashion-mnist", "mnist", "opticks", "wine"}) {
		t.Error(names)
	}
}

func TestOnlyFetchedDataNeedsACacheFolder(t *testing.T) {
	here := t.TempDir()
	if err := os.MkdirAll(filepath.Join(here, "datasets", "mnist"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(here) // not a place to look for data
	system := t.TempDir()
	library, err := NewLibrary(Config{SystemDir: system, GoProxy: "off"})
	if err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(folder(t, map[string]string{"table.csv": smallCSV}), "table.csv")
	for _, source := range []Source{{Path: "digits"}, {Path: "wine"}, {Path: table, Target: "kind"}} {
		if _, err := library.Open(t.Context(), source); err != nil {
			t.Errorf("%s: %v", source.Path, err)
		}
	}
	mnist, _ := library.Lookup("mnist")
	for _, place := range library.places(mnist, mnist.Files[0]) {
		if filepath.Dir(place) != filepath.Join(system, "mnist") {
			t.Errorf("looks at %s", place)
		}
	}
	_, err = library.Open(t.Context(), Source{Path: "mnist"})
	checkFieldError(t, "no cache", err, "CacheDir")
	checkFieldError(t, "no cache", library.Get(t.Context(), "mnist"), "CacheDir")

	why := errors.New("no home")
	library, err = NewLibrary(Config{SystemDir: t.TempDir(), GoProxy: "off", NoCache: why})
	if err != nil {
		t.Fatal(err)
	}
	if err := library.Get(t.Context(), "mnist"); !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
}

func TestAPathThatCannotBeRecordedIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "caf\xe9")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Skipf("this file system has UTF-8 names only: %v", err)
	}
	writeFile(t, dir, "table.csv", smallCSV)
	for _, path := range []string{dir, filepath.Join(dir, "table.csv"), filepath.Join(dir, "missing.csv")} {
		_, err := open(t, Source{Path: path})
		checkFieldError(t, path, err, FieldPath)
		if err != nil && !strings.Contains(err.Error(), `caf\xe9`) {
			t.Errorf("%q: the byte is not shown: %v", path, err)
		}
	}
}

func TestSourcesThatMakeNoSenseAreRefused(t *testing.T) {
	dir := folder(t, map[string]string{
		"train-images-idx3-ubyte": idx(counting(20*4), 20, 2, 2), "train-labels-idx1-ubyte": idx(alternating(20), 20),
		"t10k-images-idx3-ubyte": idx(counting(20*4), 20, 2, 2), "t10k-labels-idx1-ubyte": idx(alternating(20), 20),
		"table.csv": smallCSV, "table.xlsx": smallCSV,
	})
	table := filepath.Join(dir, "table.csv")
	for name, c := range map[string]struct {
		source Source
		field  string
		want   []string
	}{
		"not UTF-8":           {Source{Path: "/data/caf\xe9.csv"}, FieldPath, []string{"is not UTF-8"}},
		"nothing":             {Source{}, FieldPath, []string{"names no data", "diabetes, digits, fashion-mnist, mnist, opticks, wine, a folder"}},
		"slip":                {Source{Path: "mnits"}, FieldPath, []string{"did you mean mnist?"}},
		"capitals":            {Source{Path: "MNIST"}, FieldPath, []string{"did you mean mnist?"}},
		"underscore":          {Source{Path: "fashion_mnist"}, FieldPath, []string{"did you mean fashion-mnist?"}},
		"slip made absolute":  {Source{Path: filepath.Join(dir, "digit")}, FieldPath, []string{"did you mean digits?"}},
		"nothing alike":       {Source{Path: "wikipedia"}, FieldPath, []string{"wikipedia is neither in the catalogue nor a file or folder", "use diabetes, digits"}},
		"an IDX file":         {Source{Path: filepath.Join(dir, "train-images-idx3-ubyte")}, FieldPath, []string{"give the folder"}},
		"another kind":        {Source{Path: filepath.Join(dir, "table.xlsx")}, FieldPath, []string{"neither a folder nor a table or text"}},
		"target of digits":    {Source{Path: "digits", Target: "x"}, FieldTarget, []string{"catalogue's digits", "leave it out"}},
		"fraction of digits":  {Source{Path: "digits", ValidationFraction: 0.1}, FieldValidationFraction, []string{"0.1", "leave it out"}},
		"target of a folder":  {Source{Path: dir, Target: "x"}, FieldTarget, []string{"folder of IDX files"}},
		"fraction and pair":   {Source{Path: dir, ValidationFraction: 0.3}, FieldValidationFraction, []string{"t10k-images-idx3-ubyte", "leave it out"}},
		"fraction 1":          {Source{Path: table, Target: "kind", ValidationFraction: 1}, FieldValidationFraction, []string{"1 is not between 0 and 1"}},
		"fraction below 0":    {Source{Path: table, Target: "kind", ValidationFraction: -0.2}, FieldValidationFraction, []string{"-0.2"}},
		"fraction not number": {Source{Path: table, Target: "kind", ValidationFraction: nan()}, FieldValidationFraction, []string{"NaN"}},
	} {
		_, err := open(t, c.source)
		checkFieldError(t, name, err, c.field, c.want...)
	}
	library, err := NewLibrary(Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	checkFieldError(t, "get", library.Get(context.Background(), "mnsit"), FieldPath, "did you mean mnist?")
}

func nan() float64 {
	var zero float64
	return zero / zero
}

func TestFractionOfATable(t *testing.T) {
	path := writeFile(t, t.TempDir(), "TABLE.CSV", smallCSV)
	d := mustOpen(t, Source{Path: path, Target: "kind", ValidationFraction: 0.5})
	if d.Len(Validation) != 3 || d.Len(Train) != 3 {
		t.Errorf("%d + %d samples", d.Len(Train), d.Len(Validation))
	}
}

func TestACancelledContextOpensNothing(t *testing.T) {
	library, err := NewLibrary(Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := library.Open(ctx, Source{Path: "digits"}); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
	if err := library.Get(ctx, "mnist"); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
}
