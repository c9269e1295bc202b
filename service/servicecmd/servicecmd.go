// Package servicecmd gives the service desk to scripts: one cobra command for
// each verb, each able to print JSON.
package servicecmd

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"emrvault/appliance/locale"
	"emrvault/service/ticket"
)

// Env is what the verbs need from outside.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Lang     locale.Lang
	Actor    string // who acts, "console:root"; kept on every timeline line
	// Desk gives the open desk, and how to let go of it.
	Desk func(ctx context.Context) (*ticket.Desk, func() error, error)
}

// Commands lists the verbs of the service wing.
func Commands(env Env) []*cobra.Command { return nil }
