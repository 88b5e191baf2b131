// Package ucum reads unit codes of the Unified Code for Units of Measure, the
// case sensitive form (ucum.org, version 2.2), and converts quantities between
// commensurable units. It owns the table of units and the grammar; what a
// quantity is, and calendar durations, it leaves to others. Read [Valid],
// [Compare] and [Unit].
//
// A code that is valid need not convert: a special unit such as Cel, whose scale
// is no ratio, converts by itself, with a prefix or times a number, but not as a
// part of a product, and an arbitrary unit such as [iU] is commensurable with
// itself alone.
package ucum
