package backupcmd

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"emrvault/backup/plan"
	"emrvault/backup/run"
)

// boxPointsCommand lists the recovery points of the box.
func boxPointsCommand(env *Env) *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use: "points [PLAN]", Short: env.t("plan.cli.points.short"), Args: count(0, 1),
		RunE: env.box(func(ctx context.Context, a *Appliance, args []string) error {
			f := plan.PointFilter{Expired: all}
			if len(args) > 0 {
				if _, err := a.Book.Plan(ctx, args[0]); err != nil {
					return err
				}
				f.Plan = args[0]
			}
			list, _, err := a.Book.Points(ctx, f)
			if err != nil {
				return err
			}
			return env.boxPoints(a, list, asJSON)
		}),
	}
	cmd.SetFlagErrorFunc(flagError)
	cmd.Flags().BoolVar(&asJSON, "json", false, env.t("cli.flag.json"))
	cmd.Flags().BoolVar(&all, "all", false, env.t("plan.cli.flag.all"))
	return cmd
}

func (e *Env) boxPoints(a *Appliance, list []plan.Point, asJSON bool) error {
	var rows [][]string
	for _, p := range list {
		if asJSON {
			if err := e.json(p); err != nil {
				return err
			}
			continue
		}
		state := e.proof(p)
		switch {
		case !p.ExpiredAt.IsZero():
			state = e.t("plan.cli.expired", "at", e.when(a, p.ExpiredAt))
		case p.Damaged:
			state = e.t("plan.state.damaged")
		}
		copies := p.Copies
		if copies == "" {
			copies = "–"
		}
		rows = append(rows, []string{p.Short(), e.when(a, p.AsOf), p.PlanName, e.Lang.Number(p.Files), e.Lang.Bytes(p.Bytes), e.Lang.Bytes(p.Added), state, copies})
	}
	switch {
	case asJSON:
		return nil
	case len(rows) == 0:
		return e.say("plan.cli.nopoints")
	}
	return e.table([]string{
		e.t("plan.cli.id"), e.t("plan.cli.asof"), e.t("plan.cli.name"), e.t("plan.cli.files"),
		e.t("plan.cli.bytes"), e.t("plan.cli.added"), e.t("plan.cli.proof"), e.t("plan.cli.copies"),
	}, rows)
}

// boxRestoreCommand brings files of a point back into a folder.
func boxRestoreCommand(env *Env) *cobra.Command {
	f := &following{}
	var req run.RestoreRequest
	cmd := &cobra.Command{
		Use: "restore POINT --target DIR", Short: env.t("plan.cli.restore.short"), Args: count(1, 1),
		RunE: env.box(func(ctx context.Context, a *Appliance, args []string) error {
			return runBoxRestore(ctx, env, a, f, req, args[0])
		}),
	}
	cmd.SetFlagErrorFunc(flagError)
	f.add(cmd, env)
	cmd.Flags().StringVar(&req.Target, "target", "", env.t("plan.cli.flag.target"))
	cmd.Flags().StringArrayVar(&req.Include, "include", nil, env.t("plan.cli.flag.include"))
	cmd.Flags().BoolVar(&req.Verify, "verify", false, env.t("plan.cli.flag.verify"))
	return cmd
}

func runBoxRestore(ctx context.Context, env *Env, a *Appliance, f *following, req run.RestoreRequest, word string) error {
	if req.Target == "" {
		return usage("plan.cli.notarget")
	}
	p, err := a.Book.Point(ctx, word)
	if err != nil {
		return err
	}
	req.Point, req.Target = p.ID, absolute(env, req.Target)
	id, err := a.Runner.Restore(ctx, req, env.Actor)
	if err != nil {
		return err
	}
	job, err := f.follow(ctx, env, a, id)
	if f.detach || len(job.Result) == 0 || string(job.Result) == "null" {
		return err
	}
	var result run.RestoreResult
	if bad := json.Unmarshal(job.Result, &result); bad != nil {
		return errors.Join(err, bad)
	}
	if f.json {
		return errors.Join(env.json(result), err)
	}
	key := "plan.cli.restored"
	if result.Verified {
		key = "plan.cli.restored.verified"
	}
	if result.From != "" {
		err = errors.Join(err, env.say("plan.cli.restored.copy", "repository", result.From))
	}
	return errors.Join(env.say(key, "files", env.Lang.Number(result.Files), "bytes", env.Lang.Bytes(result.Bytes), "target", result.Target), err)
}
