package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandShowsExamples holds for hidden commands too, and for those that
// cobra adds.
func TestEveryCommandShowsExamples(t *testing.T) {
	root := newRootCommand()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			var out strings.Builder
			c.SetOut(&out)
			if err := c.Help(); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), "Examples:\n  ") {
				t.Errorf("the help has no examples:\n%s", out.String())
			}
			if c.Short == "" || strings.HasSuffix(c.Short, ".") {
				t.Errorf("short text %q, want one without a full stop", c.Short)
			}
		})
		for _, s := range c.Commands() {
			check(s)
		}
	}
	check(root)
}
