package main

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reprise/api"
	"reprise/fault"
)

func TestASituationOfTheServiceNamesTheCommandsThatHelp(t *testing.T) {
	env := &environment{program: "reprise", dataDir: "my runs"}
	for _, c := range []struct {
		e    api.Error
		want string
	}{
		{api.Error{Fault: fault.Conflict, Code: api.InterruptedEarly, Run: "r1", Message: "run r1 was interrupted before its first checkpoint"},
			"run r1 was interrupted before its first checkpoint; resume it with:\n  reprise runs resume r1 --data-dir 'my runs'"},
		{api.Error{Fault: fault.Invalid, Code: api.StepsOmitted, Run: "r1", Message: "to: 7 is not one; use 1, or one of the other 9"},
			"to: 7 is not one; use 1, or one of the other 9 that `reprise runs show r1 --data-dir 'my runs' --all` lists"},
		{api.Error{Fault: fault.NotFound, Code: api.RunNotFound, Message: "run r1: none"}, "run r1: none; `reprise runs list` shows them all"},
	} {
		err := advised(env.withCommands(errorf("%w", &c.e)))
		if err.Error() != c.want || fault.KindOf(err) != c.e.Fault {
			t.Errorf("%v: %v, want %q", fault.KindOf(err), err, c.want)
		}
	}
	other := errors.New("other")
	if err := env.withCommands(other); !errors.Is(err, other) {
		t.Error(err)
	}
}

func TestWhatStandsBesideAnErrorOfTheServiceStays(t *testing.T) {
	env := &environment{program: "reprise", dataDir: "d"}
	missing := func(run string) *api.Error {
		return &api.Error{Fault: fault.NotFound, Code: api.RunNotFound, Message: "run " + run + ": none"}
	}
	early := &api.Error{Fault: fault.Conflict, Code: api.InterruptedEarly, Run: "r", Message: "run r was interrupted"}
	closing := errors.New("close: I/O error")
	at := api.ErrorOf(&fault.FieldError{Field: "at", Value: "9", Problem: "is late", Fix: "use 8"})
	resume := "; resume it with:\n  reprise runs resume r --data-dir d"
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.Join(early, closing), "run r was interrupted" + resume + "\nclose: I/O error"},
		{errors.Join(closing, early), "close: I/O error\nrun r was interrupted" + resume},
		{errors.Join(missing("a"), missing("b")), "run a: none; `reprise runs list` shows them all\nrun b: none; `reprise runs list` shows them all"},
		{errorf("jobs.yaml: %w", at), "jobs.yaml: --at: 9 is late; use 8"},
		{errorf("%w (and %w)", at, closing), "--at: 9 is late; use 8 (and close: I/O error)"},
		{errors.Join(fault.As(fault.Unavailable, errorf("a: %w", at)), early), "a: --at: 9 is late; use 8\nrun r was interrupted" + resume},
	} {
		got := advised(env.withCommands(asGiven(c.err, argument{field: "at", flag: "--at"})))
		if got.Error() != c.want || fault.KindOf(got) != fault.KindOf(c.err) || errors.Is(c.err, closing) != errors.Is(got, closing) {
			t.Errorf("%v: %v\nwant %s", fault.KindOf(got), got, c.want)
		}
	}
}

func TestAValueToUseInsteadIsNamedByItsFlag(t *testing.T) {
	damaged := &api.Error{Fault: fault.Corrupt, Message: "damaged", Remedy: "restore it, or use another checkpoint",
		Instead: &api.FieldValue{Field: "step", Value: "45"}}
	if got, want := asGiven(damaged, argument{field: "step", flag: "--step"}).Error(), "damaged; restore it, or use another checkpoint: --step 45"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAnAdviceOfTheServiceIsGivenInWordsOfTheCommandLine(t *testing.T) {
	env := &environment{program: "reprise", dataDir: "d"}
	// Whatever the words of the service are: the code says what is meant.
	head := &fault.FieldError{Field: "head", Problem: "is signed", Fix: "any words", Code: string(api.KeyMissing)}
	dir := &fault.FieldError{Field: "data_dir", Problem: "already has an event log", Fix: "any words", Code: string(api.DirNotEmpty)}
	err := env.withCommands(asGiven(api.ErrorOf(errors.Join(head, dir)), fileArgument("head", "--head", "h.json")))
	folder, _ := filepath.Abs("d")
	if want := "--head h.json: is signed; give the public key to check it with: --key PUB\n" +
		"--data-dir " + folder + ": already has an event log; choose an empty folder with --data-dir FOLDER"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	held := api.InUse(folder, fault.New(fault.Unavailable, "in use by process 7"))
	if got, want := env.withCommands(held).Error(), "--data-dir "+folder+": is in use by process 7"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// fmt.Errorf puts its text together at once, and what an error of the service says in it
// could not be put in words of the command line any more.
func TestErrorsAreWrappedSoThatTheyCanBeRevised(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			function, format := types.ExprString(call.Fun), types.ExprString(call.Args[0])
			if function == "errorf" {
				checked++
			}
			if function == "fmt.Errorf" && strings.Contains(format, "%w") || function == "fault.New" && len(call.Args) > 1 && strings.Contains(types.ExprString(call.Args[1]), "%w") {
				t.Errorf("%s: %s wraps an error: use errorf", file, types.ExprString(call))
			}
			return true
		})
	}
	if checked == 0 {
		t.Error("nothing wraps an error: the test looks for the wrong name")
	}
}

// A download is a line now and then where there is no terminal.
func TestDownloadsAreShown(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	var stderr bytes.Buffer
	shown := notices{env: &environment{stderr: &stderr, now: func() time.Time { return now }}}
	for done := int64(1); done <= 3; done++ {
		shown.show(api.Notice{Download: &api.Download{Name: "mnist", File: "a", Done: done * 1000, Total: 4000}})
		now = now.Add(plainInterval)
	}
	shown.show(api.Notice{Download: &api.Download{Ended: true}})
	shown.show(api.Notice{Warning: "the log is old"})
	shown.close()
	want := "fetching mnist: 2 kB of 4 kB  ETA 5.0s\nfetching mnist: 3 kB of 4 kB  ETA 3.3s\nreprise: warning: the log is old\n"
	if stderr.String() != want {
		t.Errorf("%q, want %q", stderr.String(), want)
	}
}
