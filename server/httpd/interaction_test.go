package httpd

import "testing"

func TestInteractionOf(t *testing.T) {
	const store = "0123456789abcdef0123456789abcdef"
	for _, tt := range []struct{ method, path, name, resource string }{
		{"GET", "", "search-system", ""},
		{"POST", "", "bundle", ""},
		{"POST", "/", "bundle", ""},
		{"GET", "/metadata", "capabilities", ""},
		{"GET", "/_history", "history-system", ""},
		{"POST", "/_search", "search-system", ""},
		{"GET", "/Transaction/1", "async", ""},
		{"POST", "/$export", "operation", ""},
		{"GET", "/export/0123456789abcdef0123456789abcdef", "export", ""},
		{"GET", "/export/0123456789abcdef0123456789abcdef/Patient-1-0-0.ndjson", "export", ""},
		{"POST", "/Patient", "create", "Patient"},
		{"POST", "/Patient/", "create", "Patient"},
		{"GET", "/Patient", "search-type", "Patient"},
		{"POST", "/Patient/_search", "search-type", "Patient"},
		{"GET", "/Patient/_history", "history-type", "Patient"},
		{"POST", "/Patient/$validate", "operation", "Patient"},
		{"PUT", "/Patient", "update", "Patient"},
		{"DELETE", "/Patient", "delete", "Patient"},
		{"GET", "/Patient/shaw", "read", "Patient"},
		{"HEAD", "/Patient/shaw", "read", "Patient"},
		{"PUT", "/Patient/shaw", "update", "Patient"},
		{"PATCH", "/Patient/shaw", "patch", "Patient"},
		{"DELETE", "/Patient/shaw", "delete", "Patient"},
		{"BREW", "/Patient/shaw", "other", "Patient"},
		{"GET", "/Patient/shaw/_history", "history-instance", "Patient"},
		{"GET", "/Patient/shaw/_history/2", "vread", "Patient"},
		{"GET", "/Patient/shaw/_history/2/$meta", "operation", "Patient"},
		{"GET", "/Patient/shaw/$everything", "operation", "Patient"},
		{"GET", "/Patient/shaw/other", "other", "Patient"},
		{"GET", "/Patient/shaw/Observation", "search-type", "Patient"},
		{"GET", "/Patient/shaw/*", "search-type", "Patient"},
		{"DELETE", "/Patient/shaw/*", "other", "Patient"},
		{"GET", "/Shaw/1", "other", ""},
		{"GET", "/HumanName/1", "other", ""},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			want := interaction{tt.name, store, tt.resource}
			if got := interactionOf(tt.method, "/datastore/"+store+"/r4"+tt.path); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	for path, want := range map[string]interaction{
		"/datastore/shaw/r4/Patient":   {"search-type", "", "Patient"},
		"/datastore/" + store:          {"other", store, ""},
		"/datastore/" + store + "/sql": {"sql", store, ""},
		"/datastore/":                  {name: "other"},
		"/healthz":                     {name: "health"},
		"/readyz":                      {name: "health"},
		"/metrics":                     {name: "metrics"},
		"/_owner/1/import":             {name: "owner"},
		"/shaw":                        {name: "other"},
	} {
		if got := interactionOf("GET", path); got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
}

func FuzzInteractionOf(f *testing.F) {
	f.Add("GET", "/datastore/0123456789abcdef0123456789abcdef/r4/Patient/1/_history/2")
	f.Add("POST", "/datastore//r4//$")
	f.Fuzz(func(t *testing.T, method, path string) {
		if in := interactionOf(method, path); in.name == "" {
			t.Errorf("%s %s has no name", method, path)
		}
	})
}
