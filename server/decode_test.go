package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"reprise/api"
	"reprise/fault"
)

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	for _, body := range []string{`{"run":"too long"}`, `{"run":"r"}` + strings.Repeat(" ", 16)} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		for _, length := range []int64{r.ContentLength, -1} { // announced or not
			r.ContentLength = length
			err := decode(httptest.NewRecorder(), r, api.Operation{Name: "runs.show", MaxRequest: 16}, new(api.RunRequest))
			if fault.KindOf(err) != fault.Invalid || err.Error() != "runs.show: the request is larger than 16 bytes; send less at a time" {
				t.Errorf("%s: %v", body, err)
			}
			r.Body = io.NopCloser(strings.NewReader(body))
		}
	}
}
