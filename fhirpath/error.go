package fhirpath

import "errors"

var errUnfinished = errors.New("not built")
