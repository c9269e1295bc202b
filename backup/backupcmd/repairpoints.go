package backupcmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

func repairSnapshotsCommand(env *Env, f *repoFlags) *cobra.Command {
	var confirm, readData bool
	cmd := &cobra.Command{
		Use: "snapshots -r REPO", Short: env.t("cli.repair.snapshots.short"), Long: env.t("cli.repair.snapshots.long"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error {
			return f.locked(ctx, env, repository.Exclusive, func(ctx context.Context, repo *repository.Repository) error {
				return repairSnapshots(ctx, env, f, repo, confirm, readData)
			})
		}),
	}
	cmd.Flags().BoolVar(&readData, "read-data", false, env.t("cli.flag.read-data"))
	cmd.Flags().BoolVar(&confirm, "confirm", false, env.t("cli.flag.confirm"))
	return cmd
}

func repairSnapshots(ctx context.Context, env *Env, f *repoFlags, repo *repository.Repository, confirm, readData bool) error {
	bar := env.progress(f.progress)
	defer bar.done()
	v := &verdict{env: env, json: f.json, bar: bar}
	if err := loadForRepair(ctx, repo, confirm); err != nil {
		return err
	}
	sick, err := repo.Sick(ctx, readData, func(repository.Finding) {}, bar)
	if err != nil {
		return err
	}
	if err := loadForRepair(ctx, repo, confirm); err != nil {
		return err
	}
	bad, err := repo.Unreadable(ctx, sick)
	if err != nil {
		return err
	}
	if _, err := v.lossesOf(ctx, repo, bad); err != nil {
		return err
	}
	report, err := snapshot.Repair(ctx, repo, bad, confirm, bar)
	if err != nil {
		return err
	}
	return tellRepaired(env, f, report, confirm)
}

// loadForRepair loads the index; who only looks changes nothing.
func loadForRepair(ctx context.Context, repo *repository.Repository, write bool) error {
	if write {
		_, err := repo.MendIndex(ctx)
		return err
	}
	_, err := repo.SalvageIndex(ctx)
	return err
}

func tellRepaired(env *Env, f *repoFlags, r snapshot.RepairReport, confirm bool) error {
	var said []error
	n := len(r.Points) + len(r.Unreadable) + len(r.Unfinished)
	if f.json {
		said = append(said, env.json(r))
	} else {
		for _, p := range r.Points {
			key := "cli.repair.snapshots.point"
			switch {
			case p.Gone:
				key = "cli.repair.snapshots.gone"
			case !confirm:
				key = "cli.repair.snapshots.would"
			}
			said = append(said, env.say(key, "id", p.From[:8], "to", p.To[:min(8, len(p.To))], "lost", env.Lang.Number(int64(p.Lost))))
		}
		for _, id := range r.Unreadable {
			said = append(said, env.say("cli.repair.snapshots.unreadable", "id", id[:8]))
		}
		for _, id := range r.Unfinished {
			said = append(said, env.say("cli.repair.snapshots.unfinished", "id", id[:8]))
		}
		if n == 0 {
			said = append(said, env.say("cli.repair.snapshots.good"))
		}
	}
	if n > 0 && !confirm {
		said = append(said, unconfirmed())
	}
	return errors.Join(said...)
}
