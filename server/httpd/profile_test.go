package httpd_test

import (
	"net/http/httptest"
	"testing"

	"github.com/fhirlake/fhirlake/server/httpd"
)

func TestProfiles(t *testing.T) {
	h := httpd.ProfileHandler()
	for path, want := range map[string]int{
		"/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/cmdline": 200, "/debug/pprof/symbol": 200, "/": 404,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
	}
}
