package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/backup/plan"
	"emrvault/backup/source"
	"emrvault/backup/source/all"
)

// planCommand gathers the verbs on plans.
func planCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "plan", Short: env.t("plan.cli.short"), Args: noVerb, RunE: showHelp}
	cmd.SetFlagErrorFunc(flagError)
	cmd.AddCommand(
		planListCommand(env), planShowCommand(env), planSampleCommand(env), planAddCommand(env),
		planEditCommand(env), planRemoveCommand(env), runPlanCommand(env, "run NAME"),
	)
	return cmd
}

// planBackupCommand is short for `plan run`.
func planBackupCommand(env *Env) *cobra.Command {
	cmd := runPlanCommand(env, "backup NAME")
	cmd.SetFlagErrorFunc(flagError)
	return cmd
}

func planListCommand(env *Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: env.t("plan.cli.list.short"), Args: count(0, 0),
		RunE: env.box(func(ctx context.Context, a *Appliance, _ []string) error { return runPlanList(ctx, env, a, asJSON) }),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, env.t("cli.flag.json"))
	return cmd
}

// planJSON is a plan for programs, with how it stands.
type planJSON struct {
	plan.Plan
	State string      `json:"state"`
	Why   string      `json:"why"`
	Last  *plan.Point `json:"last_good_point,omitempty"`
	RPO   float64     `json:"rpo_now_seconds,omitempty"`
	RTO   float64     `json:"rto_measured_seconds,omitempty"`
}

func (e *Env) planJSON(s plan.Standing) error {
	return e.json(planJSON{s.Plan, s.State, s.Reason.In(e.Lang), s.Last, s.RPO.Seconds(), s.RTO.Seconds()})
}

func runPlanList(ctx context.Context, env *Env, a *Appliance, asJSON bool) error {
	o, err := a.Book.Overview(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, s := range o.Plans {
		if asJSON {
			if err := env.planJSON(s); err != nil {
				return err
			}
			continue
		}
		last := "-"
		if s.Last != nil {
			last = env.when(a, s.Last.AsOf) + " " + env.proof(*s.Last)
		}
		rows = append(rows, []string{s.Plan.Name, s.Plan.Label(), env.t("plan.state." + s.State), last, env.when(a, s.Plan.NextDue), s.Plan.Repository})
	}
	switch {
	case asJSON:
		return nil
	case len(rows) == 0:
		return env.say("plan.cli.none")
	}
	return env.table([]string{
		env.t("plan.cli.name"), env.t("plan.cli.title"), env.t("plan.cli.state"),
		env.t("plan.cli.last"), env.t("plan.cli.next"), env.t("plan.cli.repository"),
	}, rows)
}

func planShowCommand(env *Env) *cobra.Command {
	var asJSON, asFile bool
	cmd := &cobra.Command{
		Use: "show NAME", Short: env.t("plan.cli.show.short"), Args: count(1, 1),
		RunE: env.box(func(ctx context.Context, a *Appliance, args []string) error {
			s, err := a.Book.Standing(ctx, args[0])
			if err != nil {
				return err
			}
			switch {
			case asJSON:
				return env.planJSON(s)
			case asFile:
				text, err := s.Plan.File().Text()
				if err == nil {
					_, err = env.Out.Write(text)
				}
				return err
			}
			return env.showPlan(ctx, a, s)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, env.t("cli.flag.json"))
	cmd.Flags().BoolVar(&asFile, "file", false, env.t("plan.cli.flag.asfile"))
	return cmd
}

// showPlan prints the plan, how it stands, and its last runs.
func (e *Env) showPlan(ctx context.Context, a *Appliance, s plan.Standing) error {
	p := s.Plan
	words := e.t("schedule.by_hand")
	if table, err := p.Timetable(a.Book.Site()); err == nil && !table.IsZero() {
		words = table.Describe(e.Lang)
	}
	lines := [][]string{
		{e.t("plan.cli.name"), p.Name}, {e.t("plan.cli.title"), p.Label()},
		{e.t("plan.cli.state"), e.t("plan.state."+s.State) + " · " + s.Reason.In(e.Lang)},
		{e.t("plan.cli.source"), p.Source.Kind}, {e.t("plan.cli.repository"), p.Repository},
		{e.t("plan.cli.schedule"), words}, {e.t("plan.cli.next"), e.when(a, p.NextDue)},
		{e.t("plan.cli.keep"), e.t("plan.cli.keeps", "last", p.Keep.Last, "daily", p.Keep.Daily, "weekly", p.Keep.Weekly, "monthly", p.Keep.Monthly, "yearly", p.Keep.Yearly)},
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(e.Out, "%s: %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	runs, _, err := a.Book.Runs(ctx, plan.RunFilter{Plan: p.Name, Limit: 10})
	if err != nil || len(runs) == 0 {
		return err
	}
	var rows [][]string
	for _, r := range runs {
		added, proof := "-", "-"
		if r.Point != nil {
			added, proof = e.Lang.Bytes(r.Point.Added), e.proof(*r.Point)
		}
		rows = append(rows, []string{
			e.when(a, r.Began), jobs.Trigger(r.Trigger).Title(e.Lang), jobs.State(r.State).Title(e.Lang),
			e.Lang.Duration(r.Took()), added, proof, r.Note.In(e.Lang),
		})
	}
	return e.table([]string{
		e.t("plan.cli.began"), e.t("plan.cli.trigger"), e.t("plan.cli.state"), e.t("plan.cli.took"),
		e.t("plan.cli.added"), e.t("plan.cli.proof"), e.t("plan.cli.note"),
	}, rows)
}

func planSampleCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "sample", Short: env.t("plan.cli.sample.short"), Args: count(0, 0),
		RunE: env.verb(func(context.Context, []string) error {
			_, err := fmt.Fprint(env.Out, plan.Sample())
			return err
		}),
	}
}

func planAddCommand(env *Env) *cobra.Command {
	var file string
	var bucket bucketWords
	cmd := &cobra.Command{
		Use: "add -f FILE", Short: env.t("plan.cli.add.short"), Args: count(0, 0),
		RunE: env.box(func(ctx context.Context, a *Appliance, _ []string) error {
			return runPlanAdd(ctx, env, a, file, bucket)
		}),
	}
	askBucket(env, cmd, &file, &bucket)
	cmd.Flags().StringVarP(&file, "file", "f", "", env.t("plan.cli.flag.file"))
	return cmd
}

func (e *Env) planFile(name string) (plan.File, error) {
	if name == "" {
		return plan.File{}, usage("plan.cli.nofile")
	}
	text, err := e.readFile(name)
	if err != nil {
		return plan.File{}, err
	}
	f, err := plan.ParseFile(text)
	if err != nil {
		return f, err
	}
	if f.Location != "" && !isRemote(f.Location) {
		f.Location = absolute(e, f.Location)
	}
	e.root(f.Source)
	return f, nil
}

// root starts relative places of a source from the caller's folder: the box
// runs in another one.
func (e *Env) root(spec source.Spec) {
	for _, kind := range all.Kinds() {
		if kind.Name != spec.Kind {
			continue
		}
		for _, s := range kind.Settings {
			value, said := spec.Settings[s.Name]
			if said && (s.Type == source.Path || s.Type == source.Paths) {
				spec.Settings[s.Name] = e.rooted(value)
			}
		}
	}
}

func (e *Env) rooted(value any) any {
	switch v := value.(type) {
	case string:
		if v != "" {
			return absolute(e, v)
		}
	case []any:
		for i := range v {
			v[i] = e.rooted(v[i])
		}
	}
	return value
}

// runPlanAdd makes the repository too, when the file says where and there is
// none of that name. What the source lacks is told; the plan is kept, because
// the right may be given before it is due.
func runPlanAdd(ctx context.Context, env *Env, a *Appliance, file string, bucket bucketWords) error {
	f, err := env.planFile(file)
	if err != nil {
		return err
	}
	if err := f.Plan().Check(a.Book.Site()); err != nil {
		return err
	}
	_, err = a.Book.Repository(ctx, f.Repository)
	if errs.KindOf(err) == errs.NotFound && f.Location != "" {
		if _, err = a.Runner.Repositories().Create(ctx, bucket.place(f)); err == nil {
			err = env.say("plan.cli.made", "name", f.Repository, "location", f.Location)
		}
	}
	if err != nil {
		return err
	}
	p, err := a.Book.Add(ctx, f.Plan())
	if err != nil {
		return err
	}
	if err := env.say("plan.cli.added_plan", "name", p.Name, "next", env.when(a, p.NextDue)); err != nil {
		return err
	}
	return env.probed(ctx, a, p)
}

// probed tells what a capture of the plan's source would miss.
func (e *Env) probed(ctx context.Context, a *Appliance, p plan.Plan) error {
	list, err := a.Runner.Probe(ctx, p.Source)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(f source.Finding) bool { return f.Level == source.Good })
	for _, line := range e.findingLines(list) {
		if _, err := fmt.Fprintln(e.Err, line); err != nil {
			return err
		}
	}
	return nil
}

func planEditCommand(env *Env) *cobra.Command {
	var file string
	var on, off bool
	cmd := &cobra.Command{
		Use: "edit NAME [-f FILE] [--enable | --disable]", Short: env.t("plan.cli.edit.short"), Args: count(1, 1),
		RunE: env.box(func(ctx context.Context, a *Appliance, args []string) error {
			if file == "" && !on && !off {
				return usage("plan.cli.nochange")
			}
			if file != "" {
				f, err := env.planFile(file)
				if err != nil {
					return err
				}
				p, err := a.Book.Edit(ctx, args[0], f.Plan())
				if err != nil {
					return err
				}
				args[0] = p.Name
			}
			if on || off {
				if err := a.Book.SetEnabled(ctx, args[0], on); err != nil {
					return err
				}
			}
			return env.say("plan.cli.changed", "name", args[0])
		}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", env.t("plan.cli.flag.file"))
	cmd.Flags().BoolVar(&on, "enable", false, env.t("plan.cli.flag.enable"))
	cmd.Flags().BoolVar(&off, "disable", false, env.t("plan.cli.flag.disable"))
	cmd.MarkFlagsMutuallyExclusive("enable", "disable")
	return cmd
}

func planRemoveCommand(env *Env) *cobra.Command {
	var confirm bool
	cmd := &cobra.Command{
		Use: "remove NAME --confirm", Short: env.t("plan.cli.remove.short"), Args: count(1, 1),
		RunE: env.box(func(ctx context.Context, a *Appliance, args []string) error {
			_, total, err := a.Book.Points(ctx, plan.PointFilter{Plan: args[0], Limit: 1})
			if err != nil {
				return err
			}
			if _, err := a.Book.Plan(ctx, args[0]); err != nil {
				return err
			}
			if !confirm {
				return errors.Join(env.say("plan.cli.would_remove", "name", args[0], "n", total), usageOf(ErrUnconfirmed, "plan.cli.confirm"))
			}
			if err := a.Book.Remove(ctx, args[0]); err != nil {
				return err
			}
			return env.say("plan.cli.removed", "name", args[0], "n", total)
		}),
	}
	cmd.Flags().BoolVar(&confirm, "confirm", false, env.t("plan.cli.flag.confirm"))
	return cmd
}

func runPlanCommand(env *Env, use string) *cobra.Command {
	f := &following{}
	cmd := &cobra.Command{
		Use: use, Short: env.t("plan.cli.run.short"), Args: count(1, 1),
		RunE: env.box(func(ctx context.Context, a *Appliance, args []string) error {
			id, err := a.Runner.Backup(ctx, args[0], env.Actor)
			if err != nil {
				return err
			}
			job, err := f.follow(ctx, env, a, id)
			if f.detach {
				return err
			}
			return errors.Join(env.showPoint(ctx, a, job, f.json), err)
		}),
	}
	f.add(cmd, env)
	return cmd
}

// showPoint prints the point a backup job has made, when it made one.
func (e *Env) showPoint(ctx context.Context, a *Appliance, job jobs.Job, asJSON bool) error {
	runs, err := a.Book.RunOfJob(ctx, job.ID)
	if err != nil || runs.Point == nil {
		return err
	}
	p := *runs.Point
	if asJSON {
		return e.json(p)
	}
	return e.say("plan.cli.point", "point", p.Short(), "files", e.Lang.Number(p.Files),
		"bytes", e.Lang.Bytes(p.Bytes), "added", e.Lang.Bytes(p.Added), "at", e.when(a, p.AsOf))
}
