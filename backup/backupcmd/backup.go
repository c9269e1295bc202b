package backupcmd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emrvault/backup/archive"
	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
	"emrvault/backup/source"
)

// backupFlags are those of repo backup.
type backupFlags struct {
	*repoFlags
	choose             chooseFlags
	stream             streamFlags
	tags               []string
	host, parent, time string
	force, oneFS       bool
	every              time.Duration
}

func backupCommand(env *Env, f *repoFlags) *cobra.Command {
	b := &backupFlags{repoFlags: f}
	cmd := &cobra.Command{
		Use: "backup -r REPO PATH...", Short: env.t("cli.backup.short"), Long: env.t("cli.backup.long"), Args: count(0, -1),
		RunE: env.verb(func(ctx context.Context, args []string) error { return b.run(ctx, env, args) }),
	}
	cmd.Flags().StringArrayVar(&b.tags, "tag", nil, env.t("cli.flag.tag"))
	b.choose.add(cmd, env)
	b.stream.add(cmd, env)
	cmd.Flags().StringVar(&b.host, "host", "", env.t("cli.flag.host"))
	cmd.Flags().StringVar(&b.parent, "parent", "", env.t("cli.flag.parent"))
	cmd.Flags().StringVar(&b.time, "time", "", env.t("cli.flag.time"))
	cmd.Flags().BoolVar(&b.force, "force", false, env.t("cli.flag.force"))
	cmd.Flags().BoolVarP(&b.oneFS, "one-file-system", "x", false, env.t("cli.flag.one-file-system"))
	cmd.Flags().BoolVarP(&b.dry, "dry-run", "n", false, env.t("cli.flag.dry-run"))
	cmd.Flags().DurationVar(&b.every, "checkpoint", 0, env.t("cli.flag.checkpoint"))
	f.writing.add(cmd, env)
	return cmd
}

func (b *backupFlags) run(ctx context.Context, env *Env, args []string) error {
	capture, err := b.capture(env, args)
	if err != nil {
		return err
	}
	opts := archive.Options{
		Host: b.host, Tags: splitTags(b.tags), Force: b.force, Program: env.program(), Checkpoint: archive.Checkpoint{Every: b.every},
	}
	if err := b.choose.excludes(env, &opts); err != nil {
		return err
	}
	if opts.Time, err = env.moment(b.time); err != nil {
		return err
	}
	if b.dry {
		b.cache.off = true // it must not learn of a point that will not be
	}
	return b.open(ctx, env, func(repo *repository.Repository) error {
		if b.parent != "" {
			parent, err := snapshot.Find(ctx, repo, b.parent, snapshot.Filter{})
			if err != nil {
				return err
			}
			opts.Parent = parent
		}
		bar := env.progress(b.progress)
		opts.Progress = bar
		res, err := archive.Run(ctx, repo, opts, capture)
		bar.done()
		if res == nil {
			return err
		}
		return errors.Join(b.report(env, res), err)
	})
}

// capture hands over what was asked for: files, or a stream.
func (b *backupFlags) capture(env *Env, args []string) (func(context.Context, source.Sink) error, error) {
	stream, err := b.stream.asked(args)
	if err != nil {
		return nil, err
	}
	if stream {
		return b.stream.capture(env, args), nil
	}
	paths, err := b.choose.paths(env, args)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, usage("cli.usage.paths")
	}
	return func(ctx context.Context, sink source.Sink) error {
		return sink.Files(ctx, source.FileSet{Paths: paths, OneFileSystem: b.oneFS})
	}, nil
}

// splitTags takes "a,b" for two tags, as restic does.
func splitTags(lists []string) []string {
	var tags []string
	for _, list := range lists {
		for tag := range strings.SplitSeq(list, ",") {
			if tag = strings.TrimSpace(tag); tag != "" && !slices.Contains(tags, tag) {
				tags = append(tags, tag)
			}
		}
	}
	return tags
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
	Snapshot string `json:"snapshot_id,omitempty"` // none: it was a dry run
	DryRun   bool   `json:"dry_run,omitempty"`
	Sockets  int64  `json:"sockets,omitempty"` // recorded; nobody can restore what spoke through them
	Parent   string `json:"parent,omitempty"`
	snapshot.Summary
	Problems []problemJSON `json:"problems,omitempty"`
}

func (b *backupFlags) report(env *Env, res *archive.Result) error {
	s := res.Summary
	if b.json {
		out := backupJSON{Snapshot: res.Snapshot.ID, Summary: s, DryRun: b.dry, Sockets: res.Sockets}
		if b.dry {
			out.Snapshot = ""
		}
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
	err := errors.Join(
		env.say("cli.backup.files", "new", l.Number(int64(s.FilesNew)), "changed", l.Number(int64(s.FilesChanged)), "same", l.Number(int64(s.FilesUnmodified))),
		env.say("cli.backup.bytes", "read", l.Bytes(int64(s.TotalBytesProcessed)), "added", l.Bytes(int64(s.DataAddedPacked)), "took", took),
	)
	if res.Sockets > 0 {
		err = errors.Join(err, env.say("cli.backup.sockets", "n", l.Number(res.Sockets)))
	}
	if b.dry {
		return errors.Join(err, env.say("cli.backup.dry"))
	}
	return errors.Join(err, env.say("cli.backup.saved", "id", res.Snapshot.Short()))
}
