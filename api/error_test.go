package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"reprise/api"
	"reprise/fault"
)

func TestAnErrorCrossesAWireWhole(t *testing.T) {
	_, wrong := api.ParseTrainingRequest("job.yaml", []byte("config: {batch_size: 0, epoch: 1}\n"))
	field := &fault.FieldError{Field: "at", Value: "9", Problem: "is late", Fix: "use 8", Example: "8"}
	want := api.ErrorOf(errors.Join(wrong, field))
	want.Fault, want.Code, want.Path, want.Remedy = fault.Invalid, api.LogCorrupt, "/d", "free some space"
	if n := len(want.Mistakes); n < 3 || want.Mistakes[0].Line != 1 || !strings.Contains(want.Mistakes[0].Excerpt, "^") || want.Mistakes[n-1].Field != "at" {
		t.Fatalf("%+v", want.Mistakes)
	}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got := new(api.Error)
	if err := json.Unmarshal(raw, got); err != nil || !reflect.DeepEqual(got, want) || got.Error() != want.Error() {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestAnErrorKeepsItsKindWhenSomethingIsAddedToIt(t *testing.T) {
	one := &api.Error{Fault: fault.NotFound, Code: api.NoRuns, Message: "none", Remedy: "start one"}
	added := api.ErrorOf(fmt.Errorf("runs: %w", one))
	if added.Fault != fault.NotFound || added.Code != api.NoRuns || added.Message != "runs: none" || added.Remedy != "start one" {
		t.Errorf("%+v", added)
	}
	after := api.ErrorOf(fmt.Errorf("%w, then try again", one))
	if after.Error() != "none; start one, then try again" || one.Message != "none" {
		t.Errorf("%+v", after)
	}
	if api.ErrorOf(nil) != nil || api.ErrorOf(one) != one {
		t.Error("an error that needs no change was changed")
	}
	if stopped := api.ErrorOf(context.Canceled); !errors.Is(stopped, context.Canceled) || errors.Is(one, context.Canceled) {
		t.Errorf("%v", stopped)
	}
}

func TestAJoinedErrorKeepsWhatItsPartsSay(t *testing.T) {
	one := &api.Error{Fault: fault.Conflict, Code: api.RunEnded, Run: "r", Path: "/d", Message: "it ended", Remedy: "train again"}
	for _, alone := range []error{errors.Join(one, nil), errors.Join(nil, errors.Join(one)), fault.As(fault.Conflict, errors.Join(one))} {
		if e := api.ErrorOf(alone); !reflect.DeepEqual(e, one) {
			t.Errorf("%+v, want %+v", e, one)
		}
	}
	for _, several := range []error{errors.Join(one, errors.New("close: I/O error")), fault.As(fault.Conflict, errors.Join(errors.New("a"), one))} {
		e := api.ErrorOf(several)
		if e.Fault != fault.Conflict || e.Code != api.RunEnded || e.Run != "r" || e.Path != "/d" || e.Error() != several.Error() {
			t.Errorf("%+v of %v", e, several)
		}
	}
	both := fmt.Errorf("%w; %w", one, errors.New("close: I/O error"))
	if e := api.ErrorOf(both); e.Error() != both.Error() || e.Fault != fault.Conflict || e.Code != api.RunEnded {
		t.Errorf("%+v of %v", e, both)
	}
}

func TestAMistakeIsFoundInTheMessage(t *testing.T) {
	at := &fault.FieldError{Field: "at", Value: "9", Problem: "is late", Fix: "use 8", Code: "late"}
	_, wrong := api.ParseTrainingRequest("job.yaml", []byte("config: {batch_size: 0}\n"))
	for _, c := range []struct {
		err  error
		want string
	}{
		{at, "<at: 9 is late; use 8>"},
		{fmt.Errorf("a: %w!", at), "a: <at: 9 is late; use 8>!"},
		{errors.Join(at, errors.New("b"), at), "<at: 9 is late; use 8>\nb\n<at: 9 is late; use 8>"},
		{fmt.Errorf("c: %w", api.ErrorOf(fmt.Errorf("a: %w", at))), "c: a: <at: 9 is late; use 8>"},
		{errors.Join(api.ErrorOf(errors.Join(at, at)), errors.New("b")), "<at: 9 is late; use 8>\n<at: 9 is late; use 8>\nb"},
		{wrong, "<" + strings.ReplaceAll(wrong.Error(), "\njob.yaml", ">\n<job.yaml") + ">"},
		{&fault.FieldError{Field: "b", Problem: "is bad", Cause: at}, "<b: is bad>"},
	} {
		e := api.ErrorOf(c.err)
		marked, done := "", 0
		for _, m := range e.Mistakes {
			marked += e.Message[done:m.Said.From] + "<" + e.Message[m.Said.From:m.Said.To] + ">"
			done = m.Said.To
		}
		if marked += e.Message[done:]; marked != c.want {
			t.Errorf("%q, want %q", marked, c.want)
		}
	}
}

func TestAnErrorIsRewordedMistakeByMistake(t *testing.T) {
	at := &fault.FieldError{Field: "at", Value: "9", Problem: "is late", Fix: "use 8", Code: "late"}
	to := &fault.FieldError{Field: "to", Problem: "is missing"}
	_, wrong := api.ParseTrainingRequest("job.yaml", []byte("config: {batch_size: 0}\n"))
	e := api.ErrorOf(errors.Join(fmt.Errorf("a: %w", at), wrong, at, to))
	flags := func(m api.Mistake) api.Mistake {
		if m.Field == "at" && m.Code == "late" {
			m.Field, m.Value, m.Fix = "--at", "yesterday", ""
		}
		return m
	}
	got := e.Reworded(flags)
	want := "a: --at: yesterday is late\n" + wrong.Error() + "\n--at: yesterday is late\nto: is missing"
	if got.Error() != want || e.Mistakes[0].Field != "at" || got.Mistakes[0].Field != "--at" {
		t.Errorf("%q, want %q", got, want)
	}
	again := got.Reworded(func(m api.Mistake) api.Mistake {
		m.Field = "from"
		return m
	})
	if want := "a: from: yesterday is late\n" + wrong.Error() + "\nfrom: yesterday is late\nfrom: is missing"; again.Error() != want {
		t.Errorf("%q, want %q", again, want)
	}
	// What a service that is not ours says may lie anywhere.
	for _, said := range []*api.Span{nil, {From: -1, To: 2}, {From: 3, To: 2}, {From: 1, To: 99}} {
		bad := &api.Error{Message: "late", Mistakes: []api.Mistake{{Field: "at", Code: "late", Said: said}}}
		if got := bad.Reworded(flags); got.Message != "late" || got.Mistakes[0].Field != "--at" || got.Mistakes[0].Said != nil {
			t.Errorf("%+v", got)
		}
		if wrapped := api.ErrorOf(fmt.Errorf("a: %w", bad)); wrapped.Message != "a: late" || wrapped.Mistakes[0].Said != nil {
			t.Errorf("%+v", wrapped)
		}
	}
}

func TestAValueToUseInsteadFollowsTheRemedy(t *testing.T) {
	e := &api.Error{Message: "damaged", Remedy: "use another", Instead: &api.FieldValue{Field: "step", Value: "45"}}
	if got, want := e.Error(), "damaged; use another: step 45"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if added := api.ErrorOf(fmt.Errorf("a: %w", e)); added.Message != "a: damaged" || added.Remedy != e.Remedy || added.Instead != e.Instead {
		t.Errorf("%+v", added)
	}
	if after := api.ErrorOf(fmt.Errorf("%w!", e)); after.Error() != e.Error()+"!" || after.Remedy != "" || after.Instead != nil {
		t.Errorf("%+v", after)
	}
}

func TestEveryKindHasItsStatus(t *testing.T) {
	for k := fault.Internal; k <= fault.Forbidden; k++ {
		s := api.StatusOf(k)
		if s.Exit == 0 || s.HTTP < 400 || s.GRPC == "" || k != fault.Internal && s == api.StatusOf(fault.Internal) {
			t.Errorf("%v: %+v", k, s)
		}
	}
	if api.StatusOf(fault.Forbidden+1) != api.StatusOf(fault.Internal) {
		t.Error("a kind of a later version is not an internal error")
	}
}

func TestEveryMethodOfAServiceIsAnOperation(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range api.Operations() {
		if seen[o.Name] {
			t.Errorf("%s is in the table twice", o.Name)
		}
		seen[o.Name] = true
	}
	if methods := reflect.TypeFor[api.Service]().NumMethod(); methods != len(seen) {
		t.Errorf("Service has %d methods, and there are %d operations", methods, len(seen))
	}
}

func TestAPointInTimeIsWrittenAsItIsRead(t *testing.T) {
	for _, text := range []string{"", "0", "57", "2026-11-24T15:04:05.123Z", "2026-11-24T15:04:05+01:00", "0s", "1h30m0s"} {
		p, err := api.ParsePointInTime(text)
		if err != nil || p.String() != text || p.IsZero() != (text == "") {
			t.Errorf("%q is %v, %v", text, p, err)
		}
		raw, err := json.Marshal(api.RunRequest{At: p})
		if err != nil {
			t.Fatal(err)
		}
		var r api.RunRequest
		if err := json.Unmarshal(raw, &r); err != nil || r.At.String() != text || strings.Contains(string(raw), "at") != (text != "") {
			t.Errorf("%s, %v", raw, err)
		}
	}
	for _, text := range []string{"x", "-1", "-15m", "yesterday", "2026-11-24"} {
		if _, err := api.ParsePointInTime(text); err == nil || !strings.Contains(err.Error(), "use a position") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
