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

	"emrvault/appliance/errs"
	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/retention"
	"emrvault/backup/snapshot"
)

// forgetFlags are those of repo forget.
type forgetFlags struct {
	*repoFlags
	filterFlags
	policy                 retention.Policy
	within                 [6]string // all, then one of every hour … year
	class, groupBy         string
	prune, dryRun, confirm bool
}

func forgetCommand(env *Env, f *repoFlags) *cobra.Command {
	o := &forgetFlags{repoFlags: f}
	cmd := &cobra.Command{
		Use: "forget -r REPO [POINT...]", Short: env.t("cli.forget.short"), Long: env.t("cli.forget.long"), Args: count(0, -1),
		RunE: env.verb(func(ctx context.Context, args []string) error { return o.run(ctx, env, args) }),
	}
	o.filterFlags.add(cmd, env)
	o.keepFlags(cmd, env)
	flags := cmd.Flags()
	flags.StringVar(&o.class, "class", "", env.t("cli.flag.class"))
	flags.StringVarP(&o.groupBy, "group-by", "g", "host,paths", env.t("cli.flag.group-by"))
	flags.BoolVar(&o.prune, "prune", false, env.t("cli.flag.prune"))
	flags.BoolVarP(&o.dryRun, "dry-run", "n", false, env.t("cli.flag.dry-run"))
	flags.BoolVar(&o.confirm, "confirm", false, env.t("cli.flag.confirm"))
	return cmd
}

// keepFlags are the rules, with the letters that restic gives them.
func (o *forgetFlags) keepFlags(cmd *cobra.Command, env *Env) {
	flags := cmd.Flags()
	p := &o.policy
	for i, k := range []struct {
		name, letter string
		to           *int
	}{
		{"last", "l", &p.Last}, {"hourly", "H", &p.Hourly}, {"daily", "d", &p.Daily},
		{"weekly", "w", &p.Weekly}, {"monthly", "m", &p.Monthly}, {"yearly", "y", &p.Yearly},
	} {
		flags.IntVarP(k.to, "keep-"+k.name, k.letter, 0, env.t("cli.flag.keep-"+k.name))
		within := "keep-within"
		if i > 0 {
			within += "-" + k.name
		}
		flags.StringVar(&o.within[i], within, "", env.t("cli.flag."+within))
	}
	flags.StringArrayVar(&p.Tags, "keep-tag", nil, env.t("cli.flag.keep-tag"))
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
	return o.open(ctx, env, func(repo *repository.Repository) error {
		lock, err := repo.Lock(ctx, mode)
		if err != nil {
			return err
		}
		removed, err := o.forget(lock.Context(), env, repo, words, carryOut)
		if err = errors.Join(err, lock.Unlock()); err != nil || !o.prune || removed == 0 {
			return err
		}
		return prune(ctx, env, o.repoFlags, repo, repository.PruneOptions{})
	})
}

// forget removes what may go, when asked to, and shows what was decided and
// done: nothing is called removed that is still there.
func (o *forgetFlags) forget(ctx context.Context, env *Env, repo *repository.Repository, words []string, carryOut bool) (removed int, err error) {
	plan, err := o.plan(ctx, repo, words)
	if err != nil {
		return 0, err
	}
	if !carryOut {
		return 0, errors.Join(o.show(env, plan, nil), o.stopHere(len(removals(plan))))
	}
	gone := map[string]bool{}
	for _, id := range removals(plan) {
		if err = snapshot.Remove(ctx, repo, id); err != nil {
			break
		}
		gone[id] = true
	}
	return len(gone), errors.Join(err, o.show(env, plan, gone))
}

func (o *forgetFlags) stopHere(remove int) error {
	if o.dryRun || remove == 0 {
		return nil
	}
	return unconfirmed()
}

func (o *forgetFlags) check(words []string) error {
	if err := o.spans(); err != nil {
		return err
	}
	for by := range strings.SplitSeq(o.groupBy, ",") {
		if !slices.Contains([]string{"host", "paths", "tags", ""}, by) {
			return usage("cli.usage.group-by", "word", by)
		}
	}
	o.policy.Class = retention.Class(o.class)
	if o.class != "" && o.policy.Class.Floor() == 0 {
		return usage("cli.usage.class", "word", o.class)
	}
	if len(words) == 0 {
		return refused(o.policy.Check())
	}
	if !o.policy.Empty() {
		return usage("cli.usage.policy-and-points")
	}
	return nil
}

// refused says what is wrong with a policy.
func refused(err error) error {
	var floor *retention.FloorError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &floor):
		return usage("cli.usage.floor", "flag", "--keep-"+strings.ReplaceAll(floor.Setting, "_", "-"), "value", floor.Value,
			"class", string(floor.Class), "years", floor.Class.Floor())
	}
	return errors.Join(usage("cli.usage.policy"), err)
}

func (o *forgetFlags) spans() error {
	p := &o.policy
	to := []*retention.Span{&p.Span, &p.WithinHourly, &p.WithinDaily, &p.WithinWeekly, &p.WithinMonthly, &p.WithinYearly}
	for i, text := range o.within {
		if text == "" {
			continue
		}
		span, err := retention.ParseSpan(text)
		if err != nil {
			return err
		}
		*to[i] = span
	}
	return nil
}

// plan decides about every snapshot; an unreadable one stops all, since it
// could be the one that was meant to stay.
func (o *forgetFlags) plan(ctx context.Context, repo *repository.Repository, words []string) ([]doomed, error) {
	if len(words) > 0 {
		return o.named(ctx, repo, words)
	}
	groups, err := o.groups(ctx, repo, o.filter())
	if err != nil {
		return nil, err
	}
	var plan []doomed
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		plan = append(plan, doomed{key, retention.Apply(o.policy, groups[key], time.Local)})
	}
	return plan, nil
}

// groups are the points that are judged together.
func (o *forgetFlags) groups(ctx context.Context, repo *repository.Repository, filter snapshot.Filter) (map[string][]retention.Point, error) {
	list, err := snapshot.List(ctx, repo, filter)
	if err != nil {
		return nil, err
	}
	groups := map[string][]retention.Point{}
	for _, s := range list {
		key := groupKey(s, o.groupBy)
		groups[key] = append(groups[key], retention.Point{
			ID: s.ID, Time: s.Time, Tags: s.Tags, Partial: slices.Contains(s.Tags, archive.Incomplete),
		})
	}
	return groups, nil
}

// named removes what is named, unless the class protects it.
func (o *forgetFlags) named(ctx context.Context, repo *repository.Repository, words []string) ([]doomed, error) {
	var d doomed
	remove := map[string]bool{}
	for _, word := range words {
		s, err := snapshot.Find(ctx, repo, word, o.filter())
		if err != nil {
			return nil, err
		}
		if !remove[s.ID] {
			d.decisions = append(d.decisions, retention.Decision{ID: s.ID, Time: s.Time})
		}
		remove[s.ID] = true
	}
	if err := o.protect(ctx, repo, remove); err != nil {
		return nil, err
	}
	return []doomed{d}, nil
}

// protect refuses when a point must be kept by law.
func (o *forgetFlags) protect(ctx context.Context, repo *repository.Repository, remove map[string]bool) error {
	if o.policy.Class == "" {
		return nil
	}
	groups, err := o.groups(ctx, repo, snapshot.Filter{})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		for _, d := range retention.Protect(o.policy.Class, groups[key], remove, time.Local) {
			return errs.Wrap(errs.Denied, fmt.Errorf("point %.8s of %s, %s records: %w",
				d.ID, d.Time.Local().Format(time.DateOnly), o.policy.Class, retention.ErrProtected),
				"cli.forget.protected", "id", d.ID[:8], "year", d.Time.Local().Format("2006"), "years", o.policy.Class.Floor())
		}
	}
	return nil
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

// show tells of each point what is decided; gone are those that were removed,
// nil when nothing was to be.
func (o *forgetFlags) show(env *Env, plan []doomed, gone map[string]bool) error {
	var errs []error
	for _, d := range plan {
		if !o.json && d.group != "" {
			errs = append(errs, env.say("cli.forget.group", "group", printable(d.group)))
		}
		for _, p := range d.decisions {
			errs = append(errs, o.line(env, d.group, p, gone[p.ID]))
		}
	}
	if !o.json {
		n, key := len(removals(plan)), "cli.forget.would"
		if gone != nil {
			n, key = len(gone), "cli.forget.done"
		}
		_, err := fmt.Fprintln(env.Out, env.Lang.Plural(key, n))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o *forgetFlags) line(env *Env, group string, p retention.Decision, gone bool) error {
	var reasons []string
	for _, r := range p.Reasons {
		if o.json {
			reasons = append(reasons, r.String())
		} else {
			reasons = append(reasons, env.t(r.Key(), "period", r.Period))
		}
	}
	if o.json {
		return env.json(decisionJSON{group, p.ID, p.Time, p.Keep, gone, reasons})
	}
	key := "cli.forget.keep"
	if !p.Keep {
		key = "cli.forget.remove"
	}
	return env.say(key, "id", p.ID[:8], "time", p.Time, "reasons", strings.Join(reasons, env.t("cli.list.comma")))
}
