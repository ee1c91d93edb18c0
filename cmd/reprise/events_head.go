package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"reprise/api"
	"reprise/internal/pemkey"
)

// heading is what `events head` was asked for.
type heading struct {
	key, format, file string
}

func newEventsHeadCommand(env *environment) *cobra.Command {
	var h heading
	c := &cobra.Command{
		Use:   "head [FILE]",
		Short: "Print the end of the event log, signed, to be kept elsewhere",
		Long: `Head verifies the hash chain of the log and writes to FILE or, without one, to
standard output, where the log ends: the position, the hash there, the id of the
store, which is the hash of its first event, and the time. It needs no lock and
works while a process trains. Of a log that is older than the files beside it, --sign
refuses to sign the head.

The hash stands for everything before it. Whoever can write the log can write
another one, whole and with other hashes, but not one that has this hash at this
position. So keep the head where they cannot write, or sign it: --sign takes a file
with an Ed25519 key in PEM (PKCS #8), as "openssl genpkey -algorithm ed25519 -out
KEY" writes it. "reprise events verify --head FILE --key PUB" compares later.
docs/event-format.md describes the format, byte by byte, and how to check the
signature with other tools.`,
		Example: "  reprise events head --sign KEY head.txt\n  reprise events verify --head head.txt --key PUB",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if h.format != "text" && h.format != formatJSON {
				return badFormat(h.format, "text", formatJSON)
			}
			if len(args) > 0 && args[0] != "-" {
				h.file = args[0]
			}
			return env.head(c.Context(), h)
		},
	}
	c.Flags().StringVar(&h.key, "sign", "", "sign it with the Ed25519 key in the file `KEY` (PEM, PKCS #8)")
	c.Flags().StringVarP(&h.format, "output", "o", "text", "write `FORMAT`: text, whose bytes are signed, or json")
	return c
}

func (env *environment) head(ctx context.Context, h heading) error {
	var key ed25519.PrivateKey
	if h.key != "" {
		content, err := fileContent("--sign", h.key, pemkey.Hint)
		if err != nil {
			return err
		}
		if key, err = pemkey.Private("--sign "+h.key, []byte(content)); err != nil {
			return err
		}
	}
	return env.withService(ctx, func(ctx context.Context, s api.Service) error {
		head, err := s.Head(ctx, api.HeadRequest{Current: key != nil})
		if err != nil {
			return err
		}
		a := head.Attestation
		if key != nil { // which does not leave this process
			a = a.Sign(key)
		}
		return env.writeHead(a, h)
	})
}

// writeHead writes a head where it was asked for.
func (env *environment) writeHead(a api.Attestation, h heading) error {
	content := a.Text()
	if h.format == formatJSON {
		var err error
		if content, err = json.MarshalIndent(a, "", "  "); err != nil {
			return err
		}
		content = append(content, '\n')
	}
	if h.file == "" {
		_, err := env.stdout.Write(content)
		return err
	}
	err := env.createFile("", h.file, nil, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "wrote the head at position %d to %s\n", a.Head.Position, h.file)
	return err
}
