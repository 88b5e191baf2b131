package profile

// CheckCore expands all that R4 itself defines.
func CheckCore() []error { return core().Check() }
