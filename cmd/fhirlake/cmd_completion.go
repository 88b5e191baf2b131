package main

import (
	"github.com/spf13/cobra"
)

// newCompletionCommand and newHelpCommand take the place of cobra's own, which
// answer a wrong argument with a help text and exit code 0.
func newCompletionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the script that completes command lines in a shell",
		Example: `  source <(fhirlake completion bash)
  fhirlake completion zsh > "${fpath[1]}/_fhirlake"
  fhirlake completion fish | source`,
		ValidArgs: shells,
		Args:      exactly(1, "a shell: bash, zsh, fish or powershell"),
		RunE: func(c *cobra.Command, args []string) error {
			root, out := c.Root(), c.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(out)
			}
			return usageError("no completion for %q; there is one for bash, zsh, fish and powershell", args[0])
		},
	}
}

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Help about a command",
		Example: "  fhirlake help import",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageError("unknown command %q; `fhirlake --help` lists the commands", args[0])
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
