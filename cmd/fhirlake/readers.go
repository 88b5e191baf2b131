package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/stages/nlp/notes"
	"github.com/fhirlake/fhirlake/stages/nlp/onnx"
	"github.com/fhirlake/fhirlake/stages/nlp/remote"
)

// readerFlags say who reads clinical notes.
type readerFlags struct {
	provider   string // "": nobody was named
	endpoint   string
	unsigned   bool
	operations []string
	rate       float64
	model      string
}

func (f *readerFlags) register(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.provider, "nlp-provider", "", "who reads clinical notes: builtin (the default), remote (a service with Amazon Comprehend Medical's protocol), or onnx (a model)")
	fs.StringVar(&f.endpoint, "nlp-endpoint", "", "remote: URL of the service (default: $AWS_ENDPOINT_URL_COMPREHENDMEDICAL, else Amazon's in $AWS_REGION)")
	fs.BoolVar(&f.unsigned, "nlp-unsigned", false, "remote: requests have no signature, so no credentials are needed")
	fs.StringSliceVar(&f.operations, "nlp-operations", nil, "remote: what is asked of "+strings.Join(remote.Operations(), ", ")+" (default: all but the last)")
	fs.Float64Var(&f.rate, "nlp-rate", 0, "remote: requests a second of each operation (default: the quota of Amazon's service, no limit elsewhere)")
	fs.StringVar(&f.model, "nlp-model", "", "onnx: folder with model.onnx, tokenizer.json and config.json")
}

func (f *readerFlags) check() error {
	switch f.provider {
	case "", "builtin", "remote", "onnx":
	default:
		return usageError("--nlp-provider %q is none of builtin, remote and onnx", f.provider)
	}
	if f.provider != "remote" && (f.endpoint != "" || f.unsigned || f.operations != nil || f.rate != 0) {
		return usageError("--nlp-endpoint, --nlp-unsigned, --nlp-operations and --nlp-rate are for --nlp-provider remote")
	}
	if (f.provider == "onnx") != (f.model != "") {
		return usageError("--nlp-provider onnx and --nlp-model DIR go together")
	}
	if f.rate < 0 {
		return usageError("--nlp-rate %v is negative", f.rate)
	}
	return nil
}

// readNotesBy has the flags' choice read the notes of an open root from now on.
func (l *lake) readNotesBy(f *readerFlags) error {
	switch f.provider {
	case "remote":
		o := remote.FromEnvironment()
		if f.endpoint != "" {
			o.Endpoint = f.endpoint
		}
		o.Unsigned, o.Operations, o.RequestsPerSecond = f.unsigned, f.operations, f.rate
		client, err := remote.New(o)
		if err != nil {
			return err
		}
		l.stores.ProvideNotes(func() (notes.Provider, error) { return client, nil })
	case "onnx":
		model, err := onnx.Open(onnx.Options{Dir: f.model})
		if err != nil {
			return err
		}
		l.model = model
		l.stores.ProvideNotes(func() (notes.Provider, error) {
			d, err := l.dictionary()
			if err != nil {
				return nil, err
			}
			return model.Provider(d.Current()), nil
		})
	}
	return nil
}

// abroad refuses a choice for a command whose work a server does.
func (f *readerFlags) abroad() error {
	if f.provider == "" {
		return nil
	}
	return errors.New("a server owns the root, and says who reads notes: give --nlp-provider to fhirlake serve")
}
