package server

import (
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
		err := decode(httptest.NewRecorder(), r, 16, new(api.RunRequest))
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "larger than 16 bytes") {
			t.Errorf("%s: %v", body, err)
		}
	}
}
