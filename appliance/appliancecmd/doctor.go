package appliancecmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"emrvault/appliance/errs"
)

// Level says how a check of the doctor came out.
type Level string

const (
	// Good says that all is well.
	Good Level = "ok"
	// Warn says that somebody should look at it some day soon.
	Warn Level = "warn"
	// Bad says that the box cannot do its work like this.
	Bad Level = "bad"
)

// Finding is what one check of the doctor found.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Text  string `json:"text"` // what was found and, unless all is well, what to do
}

// signs stand before the lines of the doctor; words follow, so that nobody
// depends on them.
var signs = map[Level]string{Good: "✓", Warn: "!", Bad: "✕"}

func doctorCommand(env *Env) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "doctor", Short: env.t("box.verb.doctor"), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), env, asJSON) },
	}
	jsonFlag(env, cmd, &asJSON)
	return cmd
}

// runDoctor prints every finding; a bad one makes the verb fail.
func runDoctor(ctx context.Context, env *Env, asJSON bool) error {
	bad := 0
	for _, finding := range Examine(ctx, env) {
		if finding.Level == Bad {
			bad++
		}
		var err error
		if asJSON {
			err = env.json(finding)
		} else {
			_, err = fmt.Fprintf(env.Out, "%s %s: %s\n", signs[finding.Level], env.t("doctor.name."+finding.Check), finding.Text)
		}
		if err != nil {
			return err
		}
	}
	if bad > 0 {
		return errs.New(errs.Conflict, "doctor.bad", "n", bad)
	}
	return nil
}

// Examine runs all checks of the doctor. It changes nothing and works beside
// a running appliance.
func Examine(ctx context.Context, env *Env) []Finding {
	checks := []struct {
		name string
		run  func(context.Context, *Env) (Level, string)
	}{
		{"data", checkData},
		{"disk", checkDisk},
		{"clock", checkClock},
		{"settings", checkSettings},
		{"key", checkKey},
		{"database", checkDatabase},
		{"certificate", checkCertificate},
		{"service", checkService},
		{"socket", checkSocket},
	}
	findings := make([]Finding, 0, len(checks))
	for _, check := range checks {
		level, text := check.run(ctx, env)
		findings = append(findings, Finding{check.name, level, text})
	}
	return findings
}
