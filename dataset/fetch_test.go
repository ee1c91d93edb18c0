package dataset

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/dirhash"

	"reprise/tensor"
)

// The data set that is fetched in these tests: 6 + 4 images of 2x2 pixels.
func tinyFiles() map[string]string {
	return map[string]string{
		trainImages: gzipped(idx(counting(6*4), 6, 2, 2)),
		trainLabels: gzipped(idx(alternating(6), 6)),
		testImages:  gzipped(idx(counting(4*4), 4, 2, 2)),
		testLabels:  gzipped(idx(alternating(4), 4)),
	}
}

const (
	tinyModule = "example.com/Tiny"
	tinyZip    = "/example.com/!tiny/@v/v1.0.0.zip"
)

func moduleOf(files map[string]string, level uint16) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{trainImages, trainLabels, testImages, testLabels, "README"} {
		w, _ := z.CreateHeader(&zip.FileHeader{Name: tinyModule + "@v1.0.0/data/" + name, Method: level})
		_, _ = w.Write([]byte(files[name]))
	}
	_ = z.Close()
	return b.Bytes()
}

func tinyEntry(t *testing.T, o origin) Entry {
	t.Helper()
	e := Entry{Name: "tiny", Train: 6, Validation: 4, Shape: tensor.Shape{2, 2, 1}, Classes: 2, ClassNames: []string{"even", "odd"}, origin: o}
	files := tinyFiles()
	for _, name := range []string{trainImages, trainLabels, testImages, testLabels} {
		sum := sha256.Sum256([]byte(files[name]))
		e.Files = append(e.Files, File{name, int64(len(files[name])), hex.EncodeToString(sum[:])})
		e.Bytes += int64(len(files[name]))
	}
	return e
}

// moduleEntry is the data set as a module, whose hash is computed by x/mod.
func moduleEntry(t *testing.T) (Entry, []byte) {
	t.Helper()
	content := moduleOf(tinyFiles(), zip.Deflate)
	path := writeFile(t, t.TempDir(), "m.zip", string(content))
	hash, err := dirhash.HashZip(path, dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	return tinyEntry(t, origin{module: tinyModule, version: "v1.0.0", folder: "data", hash: hash, zipBytes: int64(len(content))}), content
}

// server is a proxy or file server that counts its requests.
type server struct {
	*httptest.Server
	asked atomic.Int64
}

func newServer(t *testing.T, handler http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// sends answers the path of the module's zip with content, others with 404.
func sends(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI != tinyZip {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(content)
	}
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// truncates announces the content and ends the connection half-way.
func truncates(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:len(content)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func tinyLibrary(t *testing.T, e Entry, config Config) *Library {
	t.Helper()
	if config.CacheDir == "" {
		config.CacheDir = filepath.Join(t.TempDir(), "cache [1]")
	}
	if config.SystemDir == "" {
		config.SystemDir = t.TempDir()
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	config.HTTP = &http.Client{Transport: transport}
	l, err := newLibrary(config, []Entry{e})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func checkTiny(t *testing.T, l *Library) {
	t.Helper()
	d, err := l.Open(context.Background(), Source{Path: "tiny"})
	if err != nil {
		t.Fatal(err)
	}
	if d.Name() != "tiny" || d.Len(Train) != 6 || d.Len(Validation) != 4 || !slices.Equal(d.ClassNames(), []string{"even", "odd"}) {
		t.Errorf("%s: %d + %d samples of %v", d.Name(), d.Len(Train), d.Len(Validation), d.ClassNames())
	}
	x, labels := gather(d, Validation)
	if x[15] != float32(15)/255 || !slices.Equal(labels, []int32{0, 1, 0, 1}) {
		t.Errorf("%v, %v", x, labels)
	}
}

// cached returns the names of the files in the cache.
func cached(t *testing.T, l *Library) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(l.config.CacheDir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, d.Name())
		}
		return nil // the folder may not exist
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestModuleIsFetchedOnceAndVerified(t *testing.T) {
	e, content := moduleEntry(t)
	s := newServer(t, sends(content))
	var seen []Progress
	l := tinyLibrary(t, e, Config{GoProxy: s.URL + "/", Progress: func(p Progress) { seen = append(seen, p) }})
	if got := l.Status(e); got != StatusNotFetched {
		t.Errorf("before: %s", got)
	}
	checkTiny(t, l)
	if got := l.Status(e); got != StatusCached {
		t.Errorf("after: %s", got)
	}
	checkTiny(t, l)
	if err := l.Get(context.Background(), "tiny"); err != nil {
		t.Error(err)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the proxy was asked %d times", n)
	}
	want := []string{testImages, testLabels, trainImages, trainLabels}
	if got := cached(t, l); !slices.Equal(got, want) {
		t.Errorf("cache holds %v", got)
	}
	info, err := os.Stat(filepath.Join(l.dir(e), trainImages))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	var last int64
	for _, p := range seen {
		if p.Name != "tiny" || p.File != "Tiny@v1.0.0.zip" || p.Done <= last || p.Total != int64(len(content)) {
			t.Errorf("progress %+v after %d", p, last)
		}
		last = p.Done
	}
	if last != int64(len(content)) {
		t.Errorf("progress ends at %d of %d", last, len(content))
	}
}

func TestModuleZipMayBeCompressedDifferently(t *testing.T) {
	e, _ := moduleEntry(t)
	checkTiny(t, tinyLibrary(t, e, Config{GoProxy: newServer(t, sends(moduleOf(tinyFiles(), zip.Store))).URL}))
}

func TestProxiesAreTriedAsTheGoCommandDoes(t *testing.T) {
	e, content := moduleEntry(t)
	for name, c := range map[string]struct {
		first     http.HandlerFunc
		separator string
		second    bool   // the second proxy is asked, and has it
		reason    string // else: what the error says of the first
	}{
		"404 and comma":       {answers(404), ",", true, ""},
		"410 and comma":       {answers(410), ",", true, ""},
		"404 and pipe":        {answers(404), "|", true, ""},
		"500 and comma":       {answers(500), ",", false, "500 Internal Server Error"},
		"500 and pipe":        {answers(500), "|", true, ""},
		"403 and comma":       {answers(403), ",", false, "403 Forbidden"},
		"truncated and comma": {truncates(content), ",", false, "the connection ended after"},
		"truncated and pipe":  {truncates(content), "|", true, ""},
		"no answer and comma": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ",", false, "ended without an answer"},
		"no zip and comma":    {sends([]byte("<html>log in</html>")), ",", false, "what was sent is not a zip file"},
		"no zip and pipe":     {sends([]byte("<html>log in</html>")), "|", true, ""},
		"too long and comma":  {sends(bytes.Repeat([]byte("x"), 3<<20)), ",", false, "sent more than"},
		"half a zip and pipe": {sends(content[:len(content)/2]), "|", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := newServer(t, c.first), newServer(t, sends(content))
			l := tinyLibrary(t, e, Config{GoProxy: first.URL + c.separator + second.URL})
			if c.second {
				checkTiny(t, l)
				if first.asked.Load() != 1 || second.asked.Load() != 1 {
					t.Errorf("asked %d and %d times", first.asked.Load(), second.asked.Load())
				}
				return
			}
			err := l.Get(context.Background(), "tiny")
			var offline *OfflineError
			if !errors.As(err, &offline) || !strings.Contains(err.Error(), c.reason) || !strings.Contains(err.Error(), first.URL+tinyZip) {
				t.Errorf("%T: %v", err, err)
			}
			if n := second.asked.Load(); n != 0 {
				t.Errorf("the second proxy was asked %d times", n)
			}
			if got := cached(t, l); len(got) != 0 {
				t.Errorf("cache holds %v", got)
			}
		})
	}
}

func TestOfflineErrorSaysWhatToDo(t *testing.T) {
	e, _ := moduleEntry(t)
	closed := httptest.NewServer(nil)
	closed.Close()
	missing := newServer(t, answers(404))
	for name, c := range map[string]struct {
		proxies string
		want    []string
	}{
		"refused":     {closed.URL, []string{closed.URL + tinyZip, "refused"}},
		"off":         {"off", []string{"GOPROXY=off: forbids the network"}},
		"direct":      {missing.URL + ",direct", []string{"404 Not Found", "direct: needs version control"}},
		"nowhere":     {missing.URL, []string{"404 Not Found"}},
		"with secret": {strings.Replace(closed.URL, "http://", "http://user:secret@", 1), []string{"user:xxxxx@"}},
	} {
		l := tinyLibrary(t, e, Config{GoProxy: c.proxies})
		_, err := l.Open(context.Background(), Source{Path: "tiny"})
		var offline *OfflineError
		if !errors.As(err, &offline) || offline.Name != "tiny" {
			t.Errorf("%s: %T: %v", name, err, err)
			continue
		}
		for _, want := range append(c.want, "Set GOPROXY", "go mod download -json example.com/Tiny@v1.0.0", l.dir(e), trainImages) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", name, err, want)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the password: %v", name, err)
		}
	}
}

func TestContentWithAnotherHashIsRefusedAndNotKept(t *testing.T) {
	e, content := moduleEntry(t)
	other := tinyFiles()
	other[testLabels] = gzipped(idx([]byte{1, 0, 1, 0}, 4))
	bad, good := newServer(t, sends(moduleOf(other, zip.Deflate))), newServer(t, sends(content))
	l := tinyLibrary(t, e, Config{GoProxy: bad.URL + "|" + good.URL})
	_, err := l.Open(context.Background(), Source{Path: "tiny"})
	var refused *HashError
	if !errors.As(err, &refused) {
		t.Fatalf("%T: %v", err, err)
	}
	if refused.File != bad.URL+tinyZip || refused.Want != e.origin.hash || refused.Got == refused.Want || !strings.HasPrefix(refused.Got, "h1:") {
		t.Errorf("%+v", refused)
	}
	if errors.As(err, new(*OfflineError)) || good.asked.Load() != 0 || len(cached(t, l)) != 0 {
		t.Errorf("another proxy was asked %d times; cache holds %v", good.asked.Load(), cached(t, l))
	}

	// The module's hash is right, but a file's is not the pinned one.
	e.Files[3].SHA256 = strings.Repeat("0", 64)
	l = tinyLibrary(t, e, Config{GoProxy: good.URL})
	err = l.Get(context.Background(), "tiny")
	if !errors.As(err, &refused) || !strings.HasSuffix(refused.File, "data/"+testLabels) || refused.Want != e.Files[3].SHA256 {
		t.Errorf("%T: %v", err, err)
	}
	if slices.Contains(cached(t, l), testLabels) {
		t.Error("the file was kept")
	}
}

func TestModuleCacheIsTriedFirst(t *testing.T) {
	e, content := moduleEntry(t)
	modules := t.TempDir()
	path := filepath.Join(modules, "cache", "download", filepath.FromSlash(tinyZip))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	checkTiny(t, tinyLibrary(t, e, Config{GoProxy: "off", ModuleCache: modules}))

	// A damaged one does not prevent the use of the proxy.
	if err := os.WriteFile(path, content[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	checkTiny(t, tinyLibrary(t, e, Config{GoProxy: newServer(t, sends(content)).URL, ModuleCache: modules}))
	err := tinyLibrary(t, e, Config{GoProxy: "off", ModuleCache: modules}).Get(context.Background(), "tiny")
	if !errors.As(err, new(*OfflineError)) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

func TestFileProxy(t *testing.T) {
	e, content := moduleEntry(t)
	root := filepath.Join(t.TempDir(), "a proxy")
	path := filepath.Join(root, filepath.FromSlash(tinyZip))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	address := (&url.URL{Scheme: "file", Path: filepath.ToSlash(root)}).String()
	empty := (&url.URL{Scheme: "file", Path: filepath.ToSlash(t.TempDir())}).String()
	checkTiny(t, tinyLibrary(t, e, Config{GoProxy: empty + "," + address}))
	err := tinyLibrary(t, e, Config{GoProxy: empty}).Get(context.Background(), "tiny")
	if !errors.As(err, new(*OfflineError)) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%T: %v", err, err)
	}
}

func TestAStalledDownloadIsAbandoned(t *testing.T) {
	e, content := moduleEntry(t)
	for name, start := range map[string]int{"before the first byte": 0, "half-way": len(content) / 2} {
		silent := newServer(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			if start > 0 {
				_, _ = w.Write(content[:start])
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		})
		l := tinyLibrary(t, e, Config{GoProxy: silent.URL, StallTimeout: 50 * time.Millisecond})
		err := l.Get(context.Background(), "tiny")
		if !errors.As(err, new(*OfflineError)) || !strings.Contains(err.Error(), "nothing arrived for 50ms") {
			t.Errorf("%s: %T: %v", name, err, err)
		}
		// After a pipe, the next one is tried.
		checkTiny(t, tinyLibrary(t, e, Config{GoProxy: silent.URL + "|" + newServer(t, sends(content)).URL, StallTimeout: 50 * time.Millisecond}))
	}
}

func TestASlowDownloadIsNotAbandoned(t *testing.T) {
	e, content := moduleEntry(t)
	// More pieces than fit in the limit, each well within it: the watch must
	// start again with every one.
	const limit, pieces = 400 * time.Millisecond, 8
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		for i := range pieces {
			_, _ = w.Write(content[i*len(content)/pieces : (i+1)*len(content)/pieces])
			w.(http.Flusher).Flush()
			pause, end := context.WithTimeout(r.Context(), limit/4)
			<-pause.Done()
			end()
		}
	})
	checkTiny(t, tinyLibrary(t, e, Config{GoProxy: s.URL, StallTimeout: limit}))
}

func TestACancelledFetchLeavesNothing(t *testing.T) {
	e, content := moduleEntry(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:10])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	other := newServer(t, sends(content))
	l := tinyLibrary(t, e, Config{GoProxy: s.URL + "|" + other.URL})
	_, err := l.Open(ctx, Source{Path: "tiny"})
	if !errors.Is(err, context.Canceled) || errors.As(err, new(*OfflineError)) {
		t.Errorf("%T: %v", err, err)
	}
	if n := other.asked.Load(); n != 0 || len(cached(t, l)) != 0 {
		t.Errorf("the next proxy was asked %d times; cache holds %v", n, cached(t, l))
	}
}

func TestDamageInTheCacheIsRepairedByFetchingAgain(t *testing.T) {
	e, content := moduleEntry(t)
	s := newServer(t, sends(content))
	l := tinyLibrary(t, e, Config{GoProxy: s.URL})
	checkTiny(t, l)
	path := filepath.Join(l.dir(e), testImages)
	for name, damage := range map[string]func([]byte) []byte{
		"flipped":   func(b []byte) []byte { b[20] ^= 1; return b },
		"truncated": func(b []byte) []byte { return b[:5] },
		"longer":    func(b []byte) []byte { return append(b, 0) },
	} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(b), 0o600); err != nil {
			t.Fatal(err)
		}
		offline := tinyLibrary(t, e, Config{GoProxy: "off", CacheDir: l.config.CacheDir})
		_, err = offline.Open(context.Background(), Source{Path: "tiny"})
		var refused *HashError
		if !errors.As(err, new(*OfflineError)) || !errors.As(err, &refused) || refused.File != path {
			t.Errorf("%s: %T: %v", name, err, err)
		}
		checkTiny(t, l)
	}
}

func TestConcurrentFetchesDoNotInterfere(t *testing.T) {
	e, content := moduleEntry(t)
	s := newServer(t, sends(content))
	cache := t.TempDir()
	var wg sync.WaitGroup
	for range 6 {
		l := tinyLibrary(t, e, Config{GoProxy: s.URL, CacheDir: cache})
		wg.Go(func() {
			if err := l.Get(context.Background(), "tiny"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := cached(t, tinyLibrary(t, e, Config{CacheDir: cache})); len(got) != 4 {
		t.Errorf("cache holds %v", got)
	}
}

func TestAFetchRemovesWhatAKilledOneLeft(t *testing.T) {
	e, content := moduleEntry(t)
	l := tinyLibrary(t, e, Config{GoProxy: newServer(t, sends(content)).URL})
	if err := os.MkdirAll(l.dir(e), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, l.dir(e), partial+"123", "half a file")
	checkTiny(t, l)
	if got := cached(t, l); len(got) != 4 {
		t.Errorf("cache holds %v", got)
	}
}

func TestAnUnwritableCacheIsNamed(t *testing.T) {
	e, content := moduleEntry(t)
	file := writeFile(t, t.TempDir(), "cache", "")
	good := newServer(t, sends(content))
	l := tinyLibrary(t, e, Config{GoProxy: newServer(t, sends(content)).URL + "|" + good.URL, CacheDir: file})
	_, err := l.Open(context.Background(), Source{Path: "tiny"})
	checkDataError(t, err, file, "cannot be written", "choose another folder")
	if good.asked.Load() != 0 {
		t.Error("another proxy was asked")
	}
}

func TestFilesAreFetchedFromTheirAddress(t *testing.T) {
	files := tinyFiles()
	broken := ""
	var mu sync.Mutex
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		name := filepath.Base(r.URL.Path)
		content, ok := files[name]
		if !ok || broken == name+" missing" {
			http.NotFound(w, r)
			return
		}
		if broken == name+" other" {
			content = content[:len(content)-1] + "?"
		}
		w.Header().Set("Content-Encoding", "gzip") // as some servers call it
		_, _ = w.Write([]byte(content))
	})
	e := tinyEntry(t, origin{url: s.URL + "/files/", alternative: "install the package tiny"})
	checkTiny(t, tinyLibrary(t, e, Config{}))

	broken = testLabels + " missing"
	l := tinyLibrary(t, e, Config{})
	_, err := l.Open(context.Background(), Source{Path: "tiny"})
	if !errors.As(err, new(*OfflineError)) {
		t.Errorf("%T: %v", err, err)
	}
	for _, want := range []string{s.URL + "/files/" + testLabels, "404", "Check the network", l.dir(e), "Or install the package tiny."} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	broken = "" // the files that arrived are not fetched again
	before := s.asked.Load()
	checkTiny(t, l)
	if n := s.asked.Load() - before; n != 1 {
		t.Errorf("%d files were fetched", n)
	}

	broken = trainImages + " other"
	l = tinyLibrary(t, e, Config{})
	_, err = l.Open(context.Background(), Source{Path: "tiny"})
	var refused *HashError
	if !errors.As(err, &refused) || refused.File != s.URL+"/files/"+trainImages || len(cached(t, l)) != 0 {
		t.Errorf("%T: %v; cache holds %v", err, err, cached(t, l))
	}
}

func TestInstalledFilesAreUsedInPlace(t *testing.T) {
	system := t.TempDir()
	if err := os.Mkdir(filepath.Join(system, "tiny"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range tinyFiles() {
		writeFile(t, filepath.Join(system, "tiny"), name, content)
	}
	e := tinyEntry(t, origin{url: "http://127.0.0.1:1/"})
	l := tinyLibrary(t, e, Config{SystemDir: system})
	if got := l.Status(e); got != StatusCached {
		t.Errorf("status %s", got)
	}
	checkTiny(t, l)
	if got := cached(t, l); len(got) != 0 {
		t.Errorf("cache holds %v", got)
	}
}

func TestParseProxies(t *testing.T) {
	for value, want := range map[string][]proxy{
		"https://a.example,direct":           {{"https://a.example", false}, {"direct", false}},
		"https://a.example | http://b/x , ,": {{"https://a.example", true}, {"http://b/x", false}},
		"off,https://a.example":              {{"off", false}},
		"goproxy.example":                    {{"https://goproxy.example", false}},
		"file:///srv/proxy|direct":           {{"file:///srv/proxy", true}, {"direct", false}},
	} {
		got, err := parseProxies(value)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", value, got, err, want)
		}
	}
	for _, value := range []string{"ftp://a.example", ",", " | ", "/srv/proxy", "localhost", "https://a.example,gopher://b:secret@c"} {
		_, err := parseProxies(value)
		checkFieldError(t, value, err, "GOPROXY")
		if strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	e, _ := moduleEntry(t)
	err := tinyLibrary(t, e, Config{GoProxy: "ftp://a.example"}).Get(context.Background(), "tiny")
	checkFieldError(t, "get", err, "GOPROXY", "ftp://a.example is not the address")
}

func TestAZipThatUnpacksToTooMuchIsRefused(t *testing.T) {
	e, _ := moduleEntry(t)
	files := tinyFiles()
	files["README"] = strings.Repeat("x", int(4*maxZip(e.origin)))
	err := tinyLibrary(t, e, Config{GoProxy: newServer(t, sends(moduleOf(files, zip.Deflate))).URL}).Get(context.Background(), "tiny")
	if !errors.As(err, new(*OfflineError)) || !strings.Contains(err.Error(), "unpacks to more than") {
		t.Errorf("%T: %v", err, err)
	}
}
