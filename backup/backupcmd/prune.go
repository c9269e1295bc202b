package backupcmd

import (
	"context"

	"github.com/spf13/cobra"

	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

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
	f.writing.add(cmd, env)
	return cmd
}

func runPrune(ctx context.Context, env *Env, f *repoFlags, only, asked bool) error {
	return f.open(ctx, env, func(repo *repository.Repository) error {
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
	report, err := snapshot.Prune(ctx, repo, opts, bar)
	bar.done()
	if err != nil {
		return err
	}
	if f.json {
		return env.json(prunedJSON(report, opts.DryRun))
	}
	key := "cli.prune.done"
	if opts.DryRun {
		key = "cli.prune.would"
	}
	l := env.Lang
	err = env.say(key, "freed", l.Bytes(max(0, report.BytesFreed)), "removed", l.Number(report.PacksRemoved+report.PacksOrphans),
		"repacked", l.Number(report.PacksRepacked))
	if err == nil && report.Postponed != "" {
		err = env.say("cli.prune.later", "left", l.Bytes(report.BytesLeft), "packs", l.Number(report.PacksLeft), "why", report.Why)
	}
	return err
}

// prunedJSON is a report for programs.
func prunedJSON(report repository.PruneReport, dryRun bool) map[string]any {
	out := map[string]any{
		"dry_run": dryRun, "bytes_freed": report.BytesFreed, "packs_removed": report.PacksRemoved + report.PacksOrphans,
		"packs_repacked": report.PacksRepacked, "packs_kept": report.PacksKept, "blobs_unused": report.UnusedBlobs,
		"bytes_unused": report.UnusedBytes, "bytes_unused_after": report.RemainingUnusedBytes,
		"packs_left": report.PacksLeft, "bytes_left": report.BytesLeft,
	}
	if report.Postponed != "" {
		out["postponed"], out["why"] = report.Postponed, report.Why
	}
	return out
}
