package main

import (
	"bytes"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/spf13/cobra"

	"emrvault/appliance/config"
	"emrvault/appliance/console"
	"emrvault/appliance/control"
)

// TestOnlyVerbsOfTheBoxAreSent: what comes over the control socket is asked of
// the box. Verbs of the machine and of bare repositories are not, whoever
// writes such a request by hand.
func TestOnlyVerbsOfTheBoxAreSent(t *testing.T) {
	layout := config.NewLayout(t.TempDir())
	for _, args := range [][]string{
		{"serve"}, {"demo", "--once"}, {"install"}, {"uninstall"}, {"stop"}, {"restart"},
		{"config", "set", "site.name", "x"}, {"config", "show"}, {"doctor"},
		{"repo", "init", "-r", layout.Data + "/r"}, {"source", "kinds"},
	} {
		var out, complaint bytes.Buffer
		req := control.Request{Args: args, Lang: "en", User: "console:root"}
		c := &call{Call: console.Sent(req, layout, &out, &complaint)}
		if code := c.carryOut(t.Context()); code != 2 {
			t.Errorf("%v: exit code %d, want 2 (%s%s)", args, code, &out, &complaint)
		}
	}
	if _, err := os.Stat(layout.Settings()); err == nil {
		t.Error("a sent verb has changed the settings")
	}
	root := (&call{Call: console.Sent(control.Request{}, layout, io.Discard, io.Discard)}).root()
	for _, name := range ofBox {
		if !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == name }) {
			t.Errorf("verb %s is sent but not known there", name)
		}
	}
}
