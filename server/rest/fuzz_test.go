package rest_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// sound fails when an answer is not what every answer is: JSON, and an OperationOutcome
// when it refuses, never for a fault of ours.
func sound(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	body := w.Body.Bytes()
	if len(body) > 0 && !json.Valid(body) {
		t.Fatalf("status %d, no JSON: %.500q", w.Code, body)
	}
	if w.Code >= 500 && w.Code != 501 {
		t.Fatalf("status %d: %s", w.Code, body)
	}
	if w.Code >= 400 && !strings.HasPrefix(w.Body.String(), `{"resourceType":"OperationOutcome","issue":[{`) {
		t.Fatalf("status %d without an OperationOutcome: %.200q", w.Code, body)
	}
}

func FuzzBundle(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"a"},"request":{"method":"PUT","url":"Patient/a"}},{"request":{"method":"GET","url":"Patient/a/_history?_count=1"}}]}`), "strict")
	f.Add([]byte(`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W10="},"request":{"method":"PATCH","url":"Patient/a?x"}},{"request":{"method":"DELETE","url":"/"}},{"resource":{"resourceType":"Parameters"},"request":{"method":"POST","url":"Patient/$validate"}}]}`), "minimal")
	s := newServer(f, nil)
	f.Fuzz(func(t *testing.T, body []byte, level string) {
		sound(t, s.do(t, "POST", "/", string(body), "X-Amzn-Healthlake-Fhir-Validation-Level: "+level))
	})
}

func FuzzCreate(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Patient", "id" : "x" }`), "_elements=id&_summary=false")
	f.Add([]byte(`{"\u0069d":null,"a":"\\\"}`), "_pretty=true")
	f.Add([]byte(` { "resourceType":"Patient","name":[{"family":"]\\"}]}`), "_summary=true")
	s := newServer(f, nil)
	f.Fuzz(func(t *testing.T, body []byte, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		for _, level := range []string{"strict", "minimal"} {
			w := s.do(t, "POST", "/Patient", string(body), "X-Amzn-Healthlake-Fhir-Validation-Level: "+level)
			sound(t, w)
			if w.Code != 201 {
				continue
			}
			_, path, _ := strings.Cut(w.Header().Get("Location"), "/r4")
			id := strings.Split(path, "/")[2]
			again := s.do(t, "GET", "/Patient/"+id+"?"+q.Encode(), "", "Accept: application/json")
			if sound(t, again); again.Code >= 500 || again.Code == 404 {
				t.Fatalf("%s was created and cannot be read: %d", id, again.Code)
			}
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add("GET", "/Patient/_history?_count=1&_at=2020&_since=2020", "W/\"1\"", "application/json;q=0.1, */*")
	f.Add("DELETE", "/Patient/a/_history/1", "*", "")
	f.Add("POST", "/Patient/$validate?mode=delete", "", "image/png")
	s := newServer(f, nil)
	f.Fuzz(func(t *testing.T, method, path, match, accept string) {
		u, err := url.Parse("http://lake.test/datastore/ds/r4" + path)
		if err != nil || method == "" || strings.ContainsFunc(method, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("()<>@,;:\\\"/[]?={}", c) }) {
			return
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Method, r.URL = method, u
		r.Header.Set("If-Match", match)
		r.Header.Set("If-None-Match", match)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		sound(t, w)
	})
}
