package appliancecmd

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"emrvault/appliance/certificate"
	"emrvault/appliance/control"
	"emrvault/appliance/osservice"
)

// serviceCommands are the verbs on the operating system's service.
func serviceCommands(env *Env) []*cobra.Command {
	return []*cobra.Command{
		installCommand(env),
		actionCommand(env, "uninstall", "box.verb.uninstall", "service.done.uninstall", osservice.Uninstall),
		actionCommand(env, "start", "box.verb.start", "service.done.start", osservice.Start),
		actionCommand(env, "stop", "box.verb.stop", "service.done.stop", osservice.Stop),
		actionCommand(env, "restart", "box.verb.restart", "service.done.restart", osservice.Restart),
		statusCommand(env),
	}
}

func installCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "install", Short: env.t("box.verb.install"), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			outcome, err := osservice.Install(cmd.Context(), osservice.Options{Data: env.Layout.Data})
			if err != nil {
				return err
			}
			return env.say("service.done."+string(outcome), "data", env.Layout.Data)
		},
	}
}

// actionCommand is a verb that does one thing to the service and says so.
func actionCommand(env *Env, name, short, done string, do func(context.Context) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: env.t(short), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := do(cmd.Context()); err != nil {
				return err
			}
			return env.say(done, "data", env.Layout.Data)
		},
	}
}

// status is what `status` prints.
type status struct {
	Service   osservice.State `json:"service"`
	Answering bool            `json:"answering"` // an appliance listens at the control socket
	Data      string          `json:"data"`
	Page      string          `json:"page,omitempty"`        // address, while it answers
	Setup     string          `json:"setup,omitempty"`       // one-time link, until there is an administrator
	Authority string          `json:"fingerprint,omitempty"` // SHA-256 of the page's own authority
}

func statusCommand(env *Env) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "status", Short: env.t("box.verb.status"), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), env, asJSON) },
	}
	jsonFlag(env, cmd, &asJSON)
	return cmd
}

func runStatus(ctx context.Context, env *Env, asJSON bool) error {
	state, err := osservice.Status(ctx)
	if err != nil {
		return err
	}
	now := status{Service: state, Data: env.Layout.Data}
	// An appliance that runs but does not let us in answers too.
	err = control.Ping(ctx, env.Layout.Socket())
	now.Answering = !errors.Is(err, control.ErrNotRunning)
	if now.Answering {
		now.Page, now.Setup = line(env.Layout.PageAddress()), line(env.Layout.SetupLink())
	}
	if state, err := certificate.Inspect(env.Layout.Certificates()); err == nil {
		now.Authority = state.Fingerprint
	}
	if asJSON {
		return env.json(now)
	}
	if err := env.say("service.state." + string(state)); err != nil {
		return err
	}
	if !now.Answering {
		return env.say("service.silent", "data", now.Data)
	}
	return now.tell(env)
}

// tell says where the page is and how to get in for the first time.
func (s status) tell(env *Env) error {
	err := env.say("service.answers", "data", s.Data)
	for _, fact := range []struct{ key, value string }{
		{"service.page", s.Page}, {"service.setup", s.Setup}, {"service.authority", s.Authority},
	} {
		if fact.value != "" {
			err = errors.Join(err, env.say(fact.key, "value", fact.value))
		}
	}
	return err
}

// line reads what the running box has written down for us; nothing when it has
// not, or when only its owner may read it.
func line(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func jsonFlag(env *Env, cmd *cobra.Command, into *bool) {
	cmd.Flags().BoolVar(into, "json", false, env.t("box.flag.json"))
}
