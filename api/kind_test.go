package api_test

import (
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"reprise/api"
	"reprise/fault"
)

// The page for users has the same table, one row for each kind.
func TestTheDocumentedTableOfKindsIsTheOneInUse(t *testing.T) {
	page, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) == 5 && strings.HasPrefix(line, "| `") {
			rows[strings.Trim(cells[0], "| `")] = cells
		}
	}
	for kind := fault.Internal; kind <= fault.Forbidden; kind++ {
		status, cells := api.StatusOf(kind), rows[kind.String()]
		if len(cells) == 0 {
			t.Errorf("docs/errors.md has no row for %s", kind)
			continue
		}
		want := []string{strconv.Itoa(status.Exit), strconv.Itoa(status.HTTP), "`" + status.GRPC + "` |"}
		for i, w := range want {
			if cells[2+i] != w {
				t.Errorf("docs/errors.md says %q of %s, want %q", cells[2+i], kind, w)
			}
		}
		delete(rows, kind.String())
	}
	for name := range rows {
		t.Errorf("docs/errors.md has a row for %s, which is not a kind", name)
	}
}

func TestEachKindHasItsStatus(t *testing.T) {
	for _, c := range []struct {
		kind fault.Kind
		want api.Status
	}{
		{fault.Internal, api.Status{Exit: 1, HTTP: 500, GRPC: "internal"}},
		{fault.Invalid, api.Status{Exit: 2, HTTP: 400, GRPC: "invalid_argument"}},
		{fault.NotFound, api.Status{Exit: 2, HTTP: 404, GRPC: "not_found"}},
		{fault.Conflict, api.Status{Exit: 2, HTTP: 409, GRPC: "failed_precondition"}},
		{fault.Unavailable, api.Status{Exit: 1, HTTP: 503, GRPC: "unavailable"}},
		{fault.Exhausted, api.Status{Exit: 1, HTTP: 429, GRPC: "resource_exhausted"}},
		{fault.Corrupt, api.Status{Exit: 1, HTTP: 500, GRPC: "data_loss"}},
		{fault.Canceled, api.Status{Exit: 130, HTTP: 499, GRPC: "canceled"}},
		{fault.Unauthenticated, api.Status{Exit: 1, HTTP: 401, GRPC: "unauthenticated"}},
		{fault.Forbidden, api.Status{Exit: 1, HTTP: 403, GRPC: "permission_denied"}},
		{fault.Forbidden + 1, api.Status{Exit: 1, HTTP: http.StatusInternalServerError, GRPC: "internal"}},
	} {
		if got := api.StatusOf(c.kind); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.kind, got, c.want)
		}
	}
}
