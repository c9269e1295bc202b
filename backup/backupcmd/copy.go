package backupcmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

func copyCommand(env *Env, f *repoFlags) *cobra.Command {
	var from fromFlags
	var filter filterFlags
	cmd := &cobra.Command{
		Use: "copy -r REPO --from REPO2 [POINT...]", Short: env.t("cli.copy.short"), Long: env.t("cli.copy.long"), Args: count(0, -1),
		RunE: env.verb(func(ctx context.Context, args []string) error {
			if from.location == "" {
				return usage("cli.usage.from")
			}
			opts := snapshot.CopyOptions{Filter: filter.filter(), Points: args}
			return f.open(ctx, env, func(to *repository.Repository) error {
				return from.open(ctx, env, func(source *repository.Repository) error {
					return runCopy(ctx, env, f, source, to, opts)
				})
			})
		}),
	}
	from.add(cmd, env)
	filter.add(cmd, env)
	f.writing.add(cmd, env)
	return cmd
}

func runCopy(ctx context.Context, env *Env, f *repoFlags, from, to *repository.Repository, opts snapshot.CopyOptions) error {
	bar := env.progress(f.progress)
	report, err := snapshot.Copy(ctx, from, to, opts, bar)
	bar.done()
	if len(report.Skipped) > 0 && errors.Is(err, backup.ErrIncomplete) {
		err = usageOf(backup.ErrIncomplete, "cli.copy.incomplete", "points", env.Lang.Number(int64(len(report.Skipped))))
	}
	if f.json {
		return errors.Join(env.json(report), err)
	}
	if err != nil && !errors.Is(err, backup.ErrIncomplete) {
		return err
	}
	for _, c := range report.Copied {
		err = errors.Join(err, env.say("cli.copy.point", "from", c.From[:8], "to", c.To[:8]))
	}
	for _, id := range report.Skipped {
		err = errors.Join(err, env.say("cli.copy.skipped", "id", id[:8]))
	}
	l := env.Lang
	return errors.Join(err, env.say("cli.copy.done", "copied", l.Number(int64(len(report.Copied))), "present", l.Number(int64(len(report.Present))),
		"blobs", l.Number(report.Blobs), "bytes", l.Bytes(report.Packed)))
}
