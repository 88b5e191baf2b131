package control

import (
	"encoding/json"
	"net/http"

	"github.com/fhirlake/fhirlake/server/auth"
)

// refusals are the codes of what does not come in. InvalidSignatureException is that of a wrong
// time, too: clients of AWS that see it set their clock by the answer and sign again.
var refusals = map[auth.Reason]string{
	auth.Missing:      "MissingAuthenticationTokenException",
	auth.Incomplete:   "IncompleteSignatureException",
	auth.UnknownKey:   "UnrecognizedClientException",
	auth.BadToken:     "UnrecognizedClientException",
	auth.BadSignature: "InvalidSignatureException",
	auth.Late:         "InvalidSignatureException",
	auth.TooLong:      validation,
	auth.Busy:         "ThrottlingException",
	auth.NotAllowed:   "AccessDeniedException",
}

// Refuse answers a request that the guard does not let in.
func Refuse(w http.ResponseWriter, _ *http.Request, f *auth.Failure) {
	answer := &fault{kind: refusals[f.Reason], Message: f.Why}
	if answer.kind == "" { // a reason that is not one of the control plane
		answer.kind = refusals[auth.NotAllowed]
	}
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err) // two texts
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", contentType)
	w.WriteHeader(http.StatusBadRequest)
	w.Write(text)
}
