package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"emrvault/backup/drill"
	"emrvault/backup/plan"
)

// absolute is a path of this machine from its root.
func absolute(env *Env, name string) string {
	path, err := filepath.Abs(env.path(name))
	if err != nil {
		return name
	}
	return path
}

// drillCommand gathers the verbs on restore drills.
func drillCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "drill", Short: env.t("drill.cli.short"), Args: noVerb, RunE: showHelp}
	cmd.SetFlagErrorFunc(flagError)
	cmd.AddCommand(drillRunCommand(env), drillListCommand(env), drillShowCommand(env))
	return cmd
}

func drillRunCommand(env *Env) *cobra.Command {
	f := &following{}
	var word string
	cmd := &cobra.Command{
		Use: "run PLAN", Short: env.t("drill.cli.run.short"), Args: count(1, 1),
		RunE: env.box(func(ctx context.Context, a *Appliance, args []string) error {
			var point int64
			if word != "" {
				p, err := a.Book.Point(ctx, word)
				if err != nil {
					return err
				}
				point = p.ID
			}
			id, err := a.Drills.Submit(ctx, args[0], point, env.Actor)
			if err != nil {
				return err
			}
			_, err = f.follow(ctx, env, a, id)
			if f.detach {
				return err
			}
			v, missing := a.Drills.OfJob(ctx, id)
			if missing != nil {
				return errors.Join(err, missing)
			}
			return errors.Join(env.showDrill(a, v, f.json), err)
		}),
	}
	f.add(cmd, env)
	cmd.Flags().StringVar(&word, "point", "", env.t("drill.cli.flag.point"))
	return cmd
}

func drillListCommand(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list [PLAN]", Short: env.t("drill.cli.list.short"), Args: count(0, 1),
		RunE: env.box(func(ctx context.Context, a *Appliance, args []string) error {
			f := drill.Filter{}
			if len(args) > 0 {
				if _, err := a.Book.Plan(ctx, args[0]); err != nil {
					return err
				}
				f.Plan = args[0]
			}
			list, _, err := a.Drills.List(ctx, f)
			if err != nil {
				return err
			}
			return env.drills(a, list, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, env.t("cli.flag.json"))
	return cmd
}

func (e *Env) drills(a *Appliance, list []drill.Verdict, asJSON bool) error {
	var rows [][]string
	for _, v := range list {
		if asJSON {
			if err := e.json(v); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{
			v.Number, e.when(a, v.Began), v.Label(), e.t("drill.state." + v.State),
			e.figure(v.Figures.RTO), e.figure(v.Figures.RPO), fmt.Sprintf("%.8s", v.Point.Snapshot),
		})
	}
	switch {
	case asJSON:
		return nil
	case len(rows) == 0:
		return e.say("drill.cli.none")
	}
	return e.table([]string{
		e.t("drill.cli.number"), e.t("plan.cli.began"), e.t("plan.cli.title"), e.t("plan.cli.state"),
		e.t("drill.cli.rto"), e.t("drill.cli.rpo"), e.t("drill.cli.point"),
	}, rows)
}

// figure shows a measure; one that was not taken is a dash.
func (e *Env) figure(s drill.Seconds) string {
	if s == 0 {
		return "-"
	}
	return e.Lang.Duration(s.D())
}

func drillShowCommand(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show NUMBER", Short: env.t("drill.cli.show.short"), Args: count(1, 1),
		RunE: env.box(func(ctx context.Context, a *Appliance, args []string) error {
			v, err := a.Drills.Get(ctx, args[0])
			if err != nil {
				return err
			}
			return env.showDrill(a, v, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, env.t("cli.flag.json"))
	return cmd
}

// showDrill prints a record: verdict, figures, steps, checks, and what is not
// proven.
func (e *Env) showDrill(a *Appliance, v drill.Verdict, asJSON bool) error {
	if asJSON {
		return e.json(v)
	}
	lines := []string{
		e.t("drill.cli.head", "number", v.Number, "plan", v.Label(), "state", e.t("drill.state."+v.State)),
		e.t("drill.cli.of", "point", fmt.Sprintf("%.8s", v.Point.Snapshot), "at", e.when(a, v.Point.AsOf), "began", e.when(a, v.Began)),
		e.t("drill.cli.figures", "rto", e.figure(v.Figures.RTO), "rpo", e.figure(v.Figures.RPO),
			"files", e.Lang.Number(v.Figures.Files), "bytes", e.Lang.Bytes(v.Figures.Bytes)),
	}
	if v.Failure != nil {
		lines = append(lines, v.Failure.In(e.Lang))
	}
	for i, s := range v.Steps {
		lines = append(lines, fmt.Sprintf("%d. %s  %s  %s  %s", i+1, s.Note.In(e.Lang), e.t("drill.stepstate."+s.State), e.figure(s.Took), s.Detail.In(e.Lang)))
	}
	for _, c := range v.Checks {
		mark := "✓"
		if !c.OK {
			mark = "✕"
		}
		lines = append(lines, mark+" "+c.Note.In(e.Lang)+": "+c.Detail.In(e.Lang))
	}
	lines = append(lines, e.notProven(v.NotProven)...)
	for _, line := range lines {
		if _, err := fmt.Fprintln(e.Out, line); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) notProven(list []plan.Note) []string {
	if len(list) == 0 {
		return nil
	}
	lines := []string{e.t("drill.cli.notproven")}
	for _, n := range list {
		lines = append(lines, "- "+n.In(e.Lang))
	}
	return lines
}
