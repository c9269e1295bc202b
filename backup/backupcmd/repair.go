package backupcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// repairCommand gathers what puts a damaged repository right.
func repairCommand(env *Env, f *repoFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "repair", Short: env.t("cli.repair.short"), Long: env.t("cli.repair.long"), Args: noVerb, RunE: showHelp}
	cmd.AddCommand(repairIndexCommand(env, f), repairPacksCommand(env, f), repairSnapshotsCommand(env, f))
	return cmd
}

func repairIndexCommand(env *Env, f *repoFlags) *cobra.Command {
	var opts repository.IndexOptions
	cmd := &cobra.Command{
		Use: "index -r REPO", Short: env.t("cli.repair.index.short"), Long: env.t("cli.repair.index.long"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error {
			return f.locked(ctx, env, repository.Exclusive, func(ctx context.Context, repo *repository.Repository) error {
				return repairIndex(ctx, env, f, repo, opts)
			})
		}),
	}
	cmd.Flags().BoolVar(&opts.ReadAllPacks, "read-all-packs", false, env.t("cli.flag.read-all-packs"))
	cmd.Flags().BoolVarP(&opts.DryRun, "dry-run", "n", false, env.t("cli.flag.dry-run"))
	return cmd
}

func repairIndex(ctx context.Context, env *Env, f *repoFlags, repo *repository.Repository, opts repository.IndexOptions) error {
	bar := env.progress(f.progress)
	report, err := repo.RepairIndex(ctx, opts, bar)
	bar.done()
	if err != nil {
		return err
	}
	if f.json {
		return env.json(report)
	}
	var said []error
	for _, line := range []struct {
		key string
		ids []string
	}{
		{"cli.repair.index.damaged", report.Damaged},
		{"cli.repair.index.added", texts(report.Added)},
		{"cli.repair.index.changed", texts(report.Changed)},
		{"cli.repair.index.dropped", texts(report.Dropped)},
		{"cli.repair.index.unlisted", texts(report.Unlisted)},
		{"cli.repair.index.torn", texts(report.Torn)},
	} {
		if n := int64(len(line.ids)); n > 0 {
			said = append(said, env.say(line.key, "n", env.Lang.Number(n), "names", env.some(line.ids)))
		}
	}
	key := "cli.repair.index.done"
	switch {
	case report.Clean():
		key = "cli.repair.index.good"
	case opts.DryRun:
		key = "cli.repair.index.would"
	}
	said = append(said, env.say(key, "written", env.Lang.Number(int64(report.Written))))
	return errors.Join(said...)
}

func texts(ids []blob.ID) (out []string) {
	for _, id := range ids {
		out = append(out, id.String())
	}
	return out
}

// some names a few of many ids, short.
func (e *Env) some(ids []string) string {
	const few = 5
	text := ""
	for i, id := range ids[:min(few, len(ids))] {
		if i > 0 {
			text += e.t("cli.list.comma")
		}
		text += id[:min(8, len(id))]
	}
	if len(ids) > few {
		text += " …"
	}
	return text
}

// tellDamage names damage that is gone around.
func (e *Env) tellDamage(damage []error) {
	for _, d := range damage {
		fmt.Fprintln(e.Err, e.t("cli.problem", "name", "index", "error", d))
	}
}

// packsRepair is one repo repair packs.
type packsRepair struct {
	*repoFlags
	env     *Env
	from    fromFlags
	quick   bool
	confirm bool
}

func repairPacksCommand(env *Env, f *repoFlags) *cobra.Command {
	p := &packsRepair{repoFlags: f, env: env}
	cmd := &cobra.Command{
		Use: "packs -r REPO [--from REPO2] [PACK...]", Short: env.t("cli.repair.packs.short"), Long: env.t("cli.repair.packs.long"), Args: count(0, -1),
		RunE: env.verb(func(ctx context.Context, args []string) error {
			ids, err := packIDs(args)
			if err != nil {
				return err
			}
			return p.locked(ctx, env, repository.Exclusive, func(ctx context.Context, repo *repository.Repository) error {
				return p.from.source(ctx, env, func(ctx context.Context, from *repository.Repository) error {
					return p.run(ctx, repo, from, ids)
				})
			})
		}),
	}
	p.from.add(cmd, env)
	cmd.Flags().BoolVar(&p.quick, "quick", false, env.t("cli.flag.quick"))
	cmd.Flags().BoolVar(&p.confirm, "confirm", false, env.t("cli.flag.confirm"))
	return cmd
}

func packIDs(words []string) (ids []blob.ID, err error) {
	for _, word := range words {
		id, err := blob.ParseID(word)
		if err != nil {
			return nil, usage("cli.usage.pack", "word", word)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// run finds damaged packs, heals them, brings back what is missing, and says
// what stays lost. Without confirm it says what is damaged and changes nothing.
func (p *packsRepair) run(ctx context.Context, repo, from *repository.Repository, ids []blob.ID) error {
	bar := p.env.progress(p.progress)
	defer bar.done()
	v := &verdict{env: p.env, json: p.json, bar: bar}
	if p.confirm {
		if _, err := repo.RepairIndex(ctx, repository.IndexOptions{}, bar); err != nil {
			return err
		}
	} else if _, err := repo.SalvageIndex(ctx); err != nil {
		return err
	}
	if len(ids) == 0 {
		var err error
		if ids, err = repo.Sick(ctx, !p.quick, v.hear, bar); err != nil {
			return errors.Join(err, v.failed)
		}
		if p.quick {
			ids = append(ids, repo.RememberedSick()...)
		}
	}
	if !p.confirm {
		return p.plan(ctx, repo, ids, v)
	}
	report, err := p.heal(ctx, repo, from, ids, bar)
	if err != nil {
		return err
	}
	if err := p.tell(report); err != nil {
		return err
	}
	lost, err := v.losses(ctx, repo, report.Kept)
	if err == nil && lost.Paths > 0 {
		err = usageOf(backup.ErrIncomplete, "cli.repair.packs.lost")
	}
	return err
}

func (p *packsRepair) plan(ctx context.Context, repo *repository.Repository, ids []blob.ID, v *verdict) error {
	if _, err := repo.SalvageIndex(ctx); err != nil {
		return err
	}
	if _, err := v.losses(ctx, repo, ids); err != nil || len(ids) == 0 {
		return err
	}
	return unconfirmed()
}

// heal replaces the damaged packs, then fills what was missing before.
func (p *packsRepair) heal(ctx context.Context, repo, from *repository.Repository, ids []blob.ID, bar *bar) (repository.HealReport, error) {
	if err := repo.LoadIndex(ctx); err != nil {
		return repository.HealReport{}, err
	}
	var source repository.Source
	if from != nil {
		source = from
	}
	report, err := repo.Heal(ctx, ids, source, bar)
	if err != nil || source == nil {
		return report, err
	}
	filled, err := snapshot.Fill(ctx, repo, source, bar)
	report.Fetched += filled.Fetched
	report.Lost = filled.Lost
	return report, err
}

func (p *packsRepair) tell(r repository.HealReport) error {
	if p.json {
		return p.env.json(r)
	}
	l := p.env.Lang
	err := p.env.say("cli.repair.packs.done", "packs", l.Number(int64(len(r.Replaced))), "salvaged", l.Number(r.Salvaged),
		"copies", l.Number(r.Copies), "fetched", l.Number(r.Fetched), "lost", l.Number(int64(len(r.Lost))))
	if len(r.Kept) > 0 {
		err = errors.Join(err, p.env.say("cli.repair.packs.kept", "names", p.env.some(texts(r.Kept))))
	}
	return err
}
