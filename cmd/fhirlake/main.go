// Command fhirlake is a FHIR R4 lake: it imports FHIR NDJSON in bulk, validates
// it, writes columnar snapshots and answers SQL over them. One file of this
// package is one command; what they do is in package server and below.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/httpd"
	"github.com/fhirlake/fhirlake/server/owner"
)

// started is as near to the start of the process as Go code gets; rates count
// from here.
var started = time.Now()

// cores is how many processors the process may use.
var cores = runtime.GOMAXPROCS(0)

// Exit codes, the same for every command.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitRejected = 3 // finished, with rejected records
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and gives its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	prof := &profiles{}
	root := newRootCommand()
	prof.register(root)
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return prof.start() }
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if perr := prof.stop(); err == nil {
		err = perr
	}
	if err == nil {
		return exitOK
	}
	var code exitError
	if errors.As(err, &code) && code.err == nil {
		return code.code
	}
	if ctx.Err() != nil && !toldHowItEnded(err) {
		err = errors.New("interrupted; nothing was changed")
	}
	fmt.Fprintf(stderr, "fhirlake: %v\n", err)
	return codeOf(err)
}

// toldHowItEnded tells whether an error says what an interrupt has led to.
func toldHowItEnded(err error) bool {
	var unavailable *owner.UnavailableError
	return errors.As(err, &unavailable) || errors.Is(err, httpd.ErrCutOff)
}

// codeOf is the exit code of a command that ends with this error.
func codeOf(err error) int {
	var code exitError
	switch {
	case errors.As(err, &code) && code.code != 0:
		return code.code
	case isUsage(err):
		return exitUsage
	}
	return exitFailed
}

// exitError ends a command with an exit code; without err it was all said.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

// usageError marks a wrong command line.
func usageError(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}

// isUsage recognises the errors that cobra makes of a wrong command line, for
// which it has no type.
func isUsage(err error) bool {
	for _, s := range []string{"unknown command", "unknown flag", "unknown shorthand flag"} {
		if strings.HasPrefix(err.Error(), s) {
			return true
		}
	}
	return false
}

// globals are the flags that all commands share.
type globals struct {
	root      string
	datastore string
	json      bool
}

func newRootCommand() *cobra.Command {
	g := &globals{}
	c := &cobra.Command{
		Use:   "fhirlake",
		Short: "A self-hosted FHIR R4 lake",
		Long: `fhirlake imports FHIR R4 NDJSON in bulk, validates it, writes columnar Parquet
snapshots and answers SQL over them.

Exit codes: 0 all good, 1 failed, 2 wrong command line, 3 finished with
rejected records.`,
		Example: `  fhirlake generate --patients 100 --out demo
  fhirlake import demo
  fhirlake sql "SELECT gender, count(*) FROM Patient GROUP BY gender"`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("unknown command %q; `fhirlake --help` lists the commands", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError("%w; see `%s --help`", err, c.CommandPath())
	})
	p := c.PersistentFlags()
	p.StringVar(&g.root, "root", defaultRoot(), "folder that holds all data (environment: FHIRLAKE_ROOT)")
	p.StringVar(&g.datastore, "datastore", "default", "name or id of the data store; the one named default is made on first use")
	p.BoolVar(&g.json, "json", false, "machine-readable result: the last line of standard output is one JSON object")
	c.AddCommand(
		newServeCommand(g),
		newImportCommand(g),
		newExportCommand(g),
		newSQLCommand(g),
		newValidateCommand(g),
		newGenerateCommand(g),
		newDatastoreCommand(g),
		newJobCommand(g),
		newProfileCommand(g),
		newTerminologyCommand(g),
		newAuthCommand(g),
		newFHIRPathCommand(g),
		newNLPCommand(g),
		newFsckCommand(g),
		newCompactCommand(g),
		newReindexCommand(g),
		newRereadCommand(g),
		newBackupCommand(g),
		newRestoreCommand(g),
		newBenchCommand(g),
		newCompletionCommand(),
		newVersionCommand(g),
	)
	c.SetHelpCommand(newHelpCommand())
	return c
}

func defaultRoot() string {
	if dir := os.Getenv("FHIRLAKE_ROOT"); dir != "" {
		return dir
	}
	return "./fhirlake-data"
}

// atLeast demands a number of arguments and says what they are.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usageError("missing %s; see `%s --help`", what, c.CommandPath())
		}
		return nil
	}
}

// exactly demands one number of arguments and says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError("expected %s, found %d arguments; see `%s --help`", what, len(args), c.CommandPath())
		}
		return nil
	}
}
