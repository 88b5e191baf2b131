package fhirpath

import (
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir"
)

// constants are the variables that have the same value everywhere (N1, 9 and FHIR
// R4, FHIRPath: environment variables).
var constants = map[string]string{
	"sct":   "http://snomed.info/sct",
	"loinc": "http://loinc.org",
	"ucum":  "http://unitsofmeasure.org",
}

func standardVariable(name string) bool {
	switch name {
	case "context", "resource", "rootResource":
		return true
	}
	_, ok := constants[name]
	return ok || strings.HasPrefix(name, "vs-") || strings.HasPrefix(name, "ext-")
}

// compileVariable compiles %name.
func (c *compiler) compileVariable(e *expr) *plan {
	if text, ok := constants[e.Name]; ok {
		return constant(e, String(text))
	}
	if id, ok := strings.CutPrefix(e.Name, "vs-"); ok {
		return constant(e, String("http://hl7.org/fhir/ValueSet/"+id))
	}
	if id, ok := strings.CutPrefix(e.Name, "ext-"); ok {
		return constant(e, String("http://hl7.org/fhir/StructureDefinition/"+id))
	}
	switch e.Name {
	case "context":
		return fromGetter(e, c.root, func() getter {
			return func(ev *Evaluator) (Value, bool) {
				if ev.focus.Tree == nil || ev.focus.Node == fhir.NoNode {
					return Value{}, false
				}
				return ev.focus.value(), true
			}
		})
	case "resource":
		return c.focusNode(e, func(f *Focus) fhir.NodeID { return f.Resource })
	case "rootResource":
		return c.focusNode(e, func(f *Focus) fhir.NodeID { return f.Root })
	}
	if slices.Contains(c.variables, e.Name) || slices.Contains(c.Variables, e.Name) {
		return c.userVariable(e)
	}
	c.refuse(e, "variable %%%s is not defined", e.Name)
	return nil
}

// focusNode is a resource that the focus is in. When the focus is a resource
// itself, its type is known.
func (c *compiler) focusNode(e *expr, node func(f *Focus) fhir.NodeID) *plan {
	return fromGetter(e, static{}, func() getter {
		return func(ev *Evaluator) (Value, bool) {
			f := &ev.focus
			if f.Tree == nil || node(f) == fhir.NoNode {
				return Value{}, false
			}
			return Node(f.Tree, node(f)), true
		}
	})
}

// userVariable is one of defineVariable, or else of the environment.
func (c *compiler) userVariable(e *expr) *plan {
	name := e.Name
	return fromList(e, static{many: true}, func(ev *Evaluator) []Value {
		if values, ok := ev.variables[name]; ok {
			return values
		}
		return ev.env.Variables[name]
	})
}
