package backupcmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// backupFlags are those of repo backup.
type backupFlags struct {
	*repoFlags
	tags, exclude []string
	host, parent  string
	force, oneFS  bool
}

func backupCommand(env *Env, f *repoFlags) *cobra.Command {
	b := &backupFlags{repoFlags: f}
	cmd := &cobra.Command{
		Use: "backup -r REPO PATH...", Short: env.t("cli.backup.short"), Long: env.t("cli.backup.long"), Args: count(1, -1),
		RunE: env.verb(func(ctx context.Context, args []string) error { return b.run(ctx, env, args) }),
	}
	cmd.Flags().StringArrayVar(&b.tags, "tag", nil, env.t("cli.flag.tag"))
	cmd.Flags().StringArrayVarP(&b.exclude, "exclude", "e", nil, env.t("cli.flag.exclude"))
	cmd.Flags().StringVar(&b.host, "host", "", env.t("cli.flag.host"))
	cmd.Flags().StringVar(&b.parent, "parent", "", env.t("cli.flag.parent"))
	cmd.Flags().BoolVar(&b.force, "force", false, env.t("cli.flag.force"))
	cmd.Flags().BoolVarP(&b.oneFS, "one-file-system", "x", false, env.t("cli.flag.one-file-system"))
	f.writing.add(cmd, env)
	return cmd
}

func (b *backupFlags) run(ctx context.Context, env *Env, paths []string) error {
	for i := range paths {
		paths[i] = env.path(paths[i])
	}
	return b.open(ctx, env, func(repo *repository.Repository) error {
		opts := archive.Options{
			Host: b.host, Tags: b.tags, Force: b.force, Time: env.now(), Program: env.program(),
		}
		if b.parent != "" {
			parent, err := snapshot.Find(ctx, repo, b.parent, snapshot.Filter{})
			if err != nil {
				return err
			}
			opts.Parent = parent
		}
		bar := env.progress(b.progress)
		opts.Progress = bar
		res, err := archive.Run(ctx, repo, opts, func(ctx context.Context, sink source.Sink) error {
			return sink.Files(ctx, source.FileSet{Paths: paths, Exclude: b.exclude, OneFileSystem: b.oneFS})
		})
		bar.done()
		if res == nil {
			return err
		}
		return errors.Join(b.report(env, res), err)
	})
}

// program names the writer of a snapshot.
func (e *Env) program() string {
	if e.Version == "" {
		return "emrvault"
	}
	return "emrvault " + e.Version
}

// problemJSON is one thing that went wrong, for programs.
type problemJSON struct {
	Path  string `json:"path"`
	Error string `json:"error"`
	Kept  bool   `json:"kept,omitempty"`
}

// backupJSON is what repo backup --json prints.
type backupJSON struct {
	Snapshot string `json:"snapshot_id"`
	Parent   string `json:"parent,omitempty"`
	snapshot.Summary
	Problems []problemJSON `json:"problems,omitempty"`
}

func (b *backupFlags) report(env *Env, res *archive.Result) error {
	s := res.Summary
	if b.json {
		out := backupJSON{Snapshot: res.Snapshot.ID, Summary: s}
		if !res.Snapshot.Parent.IsZero() {
			out.Parent = res.Snapshot.Parent.String()
		}
		for _, p := range res.Problems {
			out.Problems = append(out.Problems, problemJSON{Path: p.Path, Error: p.Err.Error(), Kept: p.Kept})
		}
		return env.json(out)
	}
	l := env.Lang
	took := s.BackupEnd.Sub(s.BackupStart)
	return errors.Join(
		env.say("cli.backup.files", "new", l.Number(int64(s.FilesNew)), "changed", l.Number(int64(s.FilesChanged)), "same", l.Number(int64(s.FilesUnmodified))),
		env.say("cli.backup.bytes", "read", l.Bytes(int64(s.TotalBytesProcessed)), "added", l.Bytes(int64(s.DataAddedPacked)), "took", took),
		env.say("cli.backup.saved", "id", res.Snapshot.Short()),
	)
}
