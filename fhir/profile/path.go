package profile

import (
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// StepKind tells what a [Step] does.
type StepKind uint8

// The steps that the path of a discriminator may have (FHIR R4, 5.1.0.13).
const (
	StepChild     StepKind = iota // Name: a child, value for the choice value[x]
	StepExtension                 // extension('Name')
	StepResolve                   // resolve()
	StepOfType                    // ofType(Type), as(Type)
)

// Step is one step of a discriminator's path.
type Step struct {
	Kind StepKind
	Name string
	Type r4.TypeID
}

// ParsePath parses the path of a discriminator: the part of FHIRPath that is
// allowed there. `$this` gives no step.
func ParsePath(path string) ([]Step, error) {
	var steps []Step
	rest := path
	for rest != "" {
		if len(steps) == maxSteps {
			return nil, fmt.Errorf("discriminator path has more than %d steps", maxSteps)
		}
		end := strings.IndexAny(rest, ".(")
		if end < 0 {
			end = len(rest)
		}
		name := rest[:end]
		rest = rest[end:]
		arg, call := "", false
		if strings.HasPrefix(rest, "(") {
			i := strings.IndexByte(rest, ')')
			if i < 0 {
				return nil, fmt.Errorf("discriminator path '%s' has no ')'", fhir.Cut(path))
			}
			arg, call = strings.Trim(rest[1:i], " '\"`"), true
			rest = rest[i+1:]
		}
		if rest != "" {
			if rest[0] != '.' || len(rest) == 1 {
				return nil, fmt.Errorf("discriminator path '%s' is not understood", fhir.Cut(path))
			}
			rest = rest[1:]
		}
		switch {
		case name == "$this" && !call:
		case name == "resolve" && call:
			steps = append(steps, Step{Kind: StepResolve})
		case name == "extension" && call:
			steps = append(steps, Step{Kind: StepExtension, Name: arg})
		case (name == "ofType" || name == "as") && call:
			t, ok := r4.TypeByName(strings.TrimPrefix(arg, "FHIR."))
			if !ok {
				return nil, fmt.Errorf("discriminator path '%s': '%s' is no type of R4", fhir.Cut(path), fhir.Cut(arg))
			}
			steps = append(steps, Step{Kind: StepOfType, Type: t})
		case call || name == "":
			return nil, fmt.Errorf("discriminator path '%s' is not understood; it may have names, $this, extension(url), ofType(type) and resolve()", fhir.Cut(path))
		default:
			steps = append(steps, Step{Kind: StepChild, Name: strings.TrimSuffix(name, "[x]")})
		}
	}
	return steps, nil
}

// PathProps gives the properties of values of types that a name in a path means:
// all variants for a choice.
func PathProps(types []r4.TypeID, name string) []r4.ElementID {
	if props, _, _ := propsOf(types, name); len(props) > 0 {
		return props
	}
	props, _, _ := propsOf(types, name+"[x]")
	return props
}
