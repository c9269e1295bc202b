package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/retention"
	"emrvault/backup/snapshot"
)

// forgetFlags are those of repo forget.
type forgetFlags struct {
	*repoFlags
	filterFlags
	policy                 retention.Policy
	within, groupBy        string
	prune, dryRun, confirm bool
}

func forgetCommand(env *Env, f *repoFlags) *cobra.Command {
	o := &forgetFlags{repoFlags: f}
	cmd := &cobra.Command{
		Use: "forget -r REPO [POINT...]", Short: env.t("cli.forget.short"), Long: env.t("cli.forget.long"), Args: count(0, -1),
		RunE: env.verb(func(ctx context.Context, args []string) error { return o.run(ctx, env, args) }),
	}
	o.filterFlags.add(cmd, env)
	flags := cmd.Flags()
	for _, k := range []struct {
		name string
		to   *int
	}{
		{"last", &o.policy.Last}, {"hourly", &o.policy.Hourly}, {"daily", &o.policy.Daily},
		{"weekly", &o.policy.Weekly}, {"monthly", &o.policy.Monthly}, {"yearly", &o.policy.Yearly},
	} {
		flags.IntVar(k.to, "keep-"+k.name, 0, env.t("cli.flag.keep-"+k.name))
	}
	flags.StringVar(&o.within, "keep-within", "", env.t("cli.flag.keep-within"))
	flags.StringVar(&o.groupBy, "group-by", "host,paths", env.t("cli.flag.group-by"))
	flags.BoolVar(&o.prune, "prune", false, env.t("cli.flag.prune"))
	flags.BoolVarP(&o.dryRun, "dry-run", "n", false, env.t("cli.flag.dry-run"))
	flags.BoolVar(&o.confirm, "confirm", false, env.t("cli.flag.confirm"))
	return cmd
}

// doomed is what forget decided.
type doomed struct {
	group     string
	decisions []retention.Decision
}

func (o *forgetFlags) run(ctx context.Context, env *Env, words []string) error {
	if err := o.check(words); err != nil {
		return err
	}
	carryOut := o.confirm && !o.dryRun
	mode := repository.Read
	if carryOut {
		mode = repository.Exclusive
	}
	return o.locked(ctx, env, mode, func(ctx context.Context, repo *repository.Repository) error {
		plan, err := o.plan(ctx, env, repo, words)
		if err != nil {
			return err
		}
		if err := o.show(env, plan, carryOut); err != nil {
			return err
		}
		remove := removals(plan)
		if !carryOut {
			return o.stopHere(len(remove))
		}
		for _, id := range remove {
			if err := snapshot.Remove(ctx, repo, id); err != nil {
				return err
			}
		}
		if !o.prune || len(remove) == 0 {
			return nil
		}
		return prune(ctx, env, o.repoFlags, repo, repository.PruneOptions{})
	})
}

func (o *forgetFlags) stopHere(remove int) error {
	if o.dryRun || remove == 0 {
		return nil
	}
	return unconfirmed()
}

func (o *forgetFlags) check(words []string) error {
	if o.within != "" {
		span, err := retention.ParseSpan(o.within)
		if err != nil {
			return err
		}
		o.policy.Span = span
	}
	for by := range strings.SplitSeq(o.groupBy, ",") {
		if !slices.Contains([]string{"host", "paths", "tags", ""}, by) {
			return usage("cli.usage.group-by", "word", by)
		}
	}
	if len(words) == 0 {
		if err := o.policy.Check(); err != nil {
			return errors.Join(usage("cli.usage.policy"), err)
		}
		return nil
	}
	if !o.policy.Empty() {
		return usage("cli.usage.policy-and-points")
	}
	return nil
}

// plan decides about every snapshot; an unreadable one stops all, since it
// could be the one that was meant to stay.
func (o *forgetFlags) plan(ctx context.Context, env *Env, repo *repository.Repository, words []string) ([]doomed, error) {
	if len(words) > 0 {
		return o.named(ctx, repo, words)
	}
	list, err := snapshot.List(ctx, repo, o.filter())
	if err != nil {
		return nil, err
	}
	groups := map[string][]retention.Point{}
	for _, s := range list {
		key := groupKey(s, o.groupBy)
		groups[key] = append(groups[key], retention.Point{ID: s.ID, Time: s.Time})
	}
	var plan []doomed
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		plan = append(plan, doomed{key, retention.Apply(o.policy, groups[key], time.Local)})
	}
	return plan, nil
}

func (o *forgetFlags) named(ctx context.Context, repo *repository.Repository, words []string) ([]doomed, error) {
	var d doomed
	for _, word := range words {
		s, err := snapshot.Find(ctx, repo, word, o.filter())
		if err != nil {
			return nil, err
		}
		d.decisions = append(d.decisions, retention.Decision{ID: s.ID, Time: s.Time})
	}
	return []doomed{d}, nil
}

func groupKey(s *snapshot.Snapshot, by string) string {
	var parts []string
	for word := range strings.SplitSeq(by, ",") {
		switch word {
		case "host":
			parts = append(parts, s.Hostname)
		case "paths":
			parts = append(parts, strings.Join(slices.Sorted(slices.Values(s.Paths)), ", "))
		case "tags":
			parts = append(parts, strings.Join(slices.Sorted(slices.Values(s.Tags)), ","))
		}
	}
	return strings.Join(parts, " · ")
}

func removals(plan []doomed) []string {
	var out []string
	for _, d := range plan {
		for _, p := range d.decisions {
			if !p.Keep {
				out = append(out, p.ID)
			}
		}
	}
	return out
}

// decisionJSON is one line of forget --json.
type decisionJSON struct {
	Group   string    `json:"group,omitempty"`
	ID      string    `json:"id"`
	Time    time.Time `json:"time"`
	Keep    bool      `json:"keep"`
	Removed bool      `json:"removed,omitempty"`
	Reasons []string  `json:"reasons,omitempty"`
}

func (o *forgetFlags) show(env *Env, plan []doomed, carryOut bool) error {
	var errs []error
	for _, d := range plan {
		if !o.json && d.group != "" {
			errs = append(errs, env.say("cli.forget.group", "group", printable(d.group)))
		}
		for _, p := range d.decisions {
			errs = append(errs, o.line(env, d.group, p, carryOut))
		}
	}
	if !o.json {
		n := len(removals(plan))
		key := "cli.forget.would"
		if carryOut {
			key = "cli.forget.done"
		}
		_, err := fmt.Fprintln(env.Out, env.Lang.Plural(key, n))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o *forgetFlags) line(env *Env, group string, p retention.Decision, carryOut bool) error {
	var reasons []string
	for _, r := range p.Reasons {
		if o.json {
			reasons = append(reasons, r.String())
		} else {
			reasons = append(reasons, env.t(r.Key(), "period", r.Period))
		}
	}
	if o.json {
		return env.json(decisionJSON{group, p.ID, p.Time, p.Keep, carryOut && !p.Keep, reasons})
	}
	key := "cli.forget.keep"
	if !p.Keep {
		key = "cli.forget.remove"
	}
	return env.say(key, "id", p.ID[:8], "time", p.Time, "reasons", strings.Join(reasons, env.t("cli.list.comma")))
}

func pruneCommand(env *Env, f *repoFlags) *cobra.Command {
	var dryRun, confirm bool
	cmd := &cobra.Command{
		Use: "prune -r REPO", Short: env.t("cli.prune.short"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error {
			return runPrune(ctx, env, f, dryRun || !confirm, dryRun)
		}),
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, env.t("cli.flag.dry-run"))
	cmd.Flags().BoolVar(&confirm, "confirm", false, env.t("cli.flag.confirm"))
	return cmd
}

func runPrune(ctx context.Context, env *Env, f *repoFlags, only, asked bool) error {
	return f.locked(ctx, env, repository.Exclusive, func(ctx context.Context, repo *repository.Repository) error {
		if err := prune(ctx, env, f, repo, repository.PruneOptions{DryRun: only}); err != nil {
			return err
		}
		if only && !asked {
			return unconfirmed()
		}
		return nil
	})
}

func prune(ctx context.Context, env *Env, f *repoFlags, repo *repository.Repository, opts repository.PruneOptions) error {
	bar := env.progress(f.progress)
	bar.Stage(backup.StagePrune)
	report, err := pruneWith(ctx, repo, opts, bar)
	bar.done()
	if err != nil {
		return err
	}
	if f.json {
		return env.json(map[string]any{
			"dry_run": opts.DryRun, "bytes_freed": report.BytesFreed, "packs_removed": report.PacksRemoved + report.PacksOrphans,
			"packs_repacked": report.PacksRepacked, "packs_kept": report.PacksKept, "blobs_unused": report.UnusedBlobs,
			"bytes_unused": report.UnusedBytes, "bytes_unused_after": report.RemainingUnusedBytes,
		})
	}
	key := "cli.prune.done"
	if opts.DryRun {
		key = "cli.prune.would"
	}
	l := env.Lang
	return env.say(key, "freed", l.Bytes(report.BytesFreed), "removed", l.Number(report.PacksRemoved+report.PacksOrphans),
		"repacked", l.Number(report.PacksRepacked))
}

func pruneWith(ctx context.Context, repo *repository.Repository, opts repository.PruneOptions, bar *bar) (repository.PruneReport, error) {
	if err := repo.LoadIndex(ctx); err != nil {
		return repository.PruneReport{}, err
	}
	used, err := snapshot.Used(ctx, repo)
	if err != nil {
		return repository.PruneReport{}, err
	}
	return repo.Prune(ctx, used, opts, bar)
}
