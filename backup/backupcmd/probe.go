package backupcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"emrvault/appliance/errs"
	"emrvault/backup/storage/probe"
)

func probeCommand(env *Env, f *repoFlags) *cobra.Command {
	return &cobra.Command{
		Use: "probe -r REPO", Short: env.t("cli.probe.short"), Long: env.t("cli.probe.long"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return runProbe(ctx, env, f) }),
	}
}

func runProbe(ctx context.Context, env *Env, f *repoFlags) error {
	st, err := f.storage(ctx, env)
	if err != nil {
		return err
	}
	report, err := probe.Run(ctx, st, env.now)
	if err = errors.Join(err, st.Close()); err != nil {
		return err
	}
	if f.json {
		err = env.json(report)
	} else {
		err = env.probeTable(report)
	}
	if err == nil && !report.Usable {
		err = errs.New(errs.Conflict, "cli.probe.unusable", "location", report.Location)
	}
	return err
}

// probeTable shows a report as a table.
func (e *Env) probeTable(report probe.Report) error {
	head := []string{e.t("cli.probe.head.step"), e.t("cli.probe.head.state"), e.t("cli.probe.head.time"), e.t("cli.probe.head.detail")}
	var rows [][]string
	for _, step := range report.Steps {
		rows = append(rows, []string{
			e.t("probe.step." + step.Name), e.t("probe.state." + string(step.State)), e.Lang.Duration(step.Duration), e.detail(step),
		})
	}
	err := e.table(head, rows)
	if err == nil && report.Usable {
		err = e.say("cli.probe.usable", "location", report.Location)
	}
	return err
}

// detail says in the person's language what a step found.
func (e *Env) detail(step probe.Step) string {
	key := "probe.detail." + step.Key
	if !e.Lang.Has(key) {
		return printable(step.Text)
	}
	var args []any
	for name, value := range step.Args {
		if size, ok := value.(int64); ok && name == "bytes" {
			value = e.Lang.Bytes(size)
		}
		args = append(args, name, printable(fmt.Sprint(value)))
	}
	return e.t(key, args...)
}
