package backupcmd

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"emrvault/backup/repository"
	"emrvault/backup/restore"
	"emrvault/backup/snapshot"
)

// restoreFlags are those of repo restore.
type restoreFlags struct {
	*repoFlags
	filterFlags
	target                  string
	include, exclude        []string
	delete, verify, confirm bool
	sparse, devices         bool
	resume, portable        bool
}

func restoreCommand(env *Env, f *repoFlags) *cobra.Command {
	r := &restoreFlags{repoFlags: f}
	cmd := &cobra.Command{
		Use: "restore -r REPO POINT[:PATH] --target DIR", Short: env.t("cli.restore.short"), Long: env.t("cli.restore.long"), Args: count(1, 1),
		RunE: env.verb(func(ctx context.Context, args []string) error { return r.run(ctx, env, args[0]) }),
	}
	r.filterFlags.add(cmd, env)
	cmd.Flags().StringVarP(&r.target, "target", "t", "", env.t("cli.flag.target"))
	cmd.Flags().StringArrayVarP(&r.include, "include", "i", nil, env.t("cli.flag.include"))
	cmd.Flags().StringArrayVarP(&r.exclude, "exclude", "e", nil, env.t("cli.flag.exclude"))
	cmd.Flags().BoolVar(&r.delete, "delete", false, env.t("cli.flag.delete"))
	cmd.Flags().BoolVar(&r.verify, "verify", false, env.t("cli.flag.verify"))
	cmd.Flags().BoolVar(&r.sparse, "sparse", false, env.t("cli.flag.sparse"))
	cmd.Flags().BoolVar(&r.devices, "devices", false, env.t("cli.flag.devices"))
	cmd.Flags().BoolVar(&r.resume, "resume", false, env.t("cli.flag.resume"))
	cmd.Flags().BoolVar(&r.portable, "portable-names", false, env.t("cli.flag.portable-names"))
	cmd.Flags().BoolVar(&r.confirm, "confirm", false, env.t("cli.flag.confirm"))
	return cmd
}

func (r *restoreFlags) run(ctx context.Context, env *Env, word string) error {
	if r.target == "" {
		return usage("cli.usage.target")
	}
	target := env.path(r.target)
	word, subtree := splitPoint(word)
	opts := restore.Options{
		Target: target, Subtree: subtree, Include: r.include, Exclude: r.exclude,
		Delete: r.delete, AllowNotEmpty: r.confirm, Resume: r.resume, Verify: r.verify,
		Sparse: r.sparse, Devices: r.devices, PortableNames: r.portable,
	}
	if r.delete && !r.confirm && holdsSomething(target) {
		return r.preview(ctx, env, word, opts)
	}
	return r.open(ctx, env, func(repo *repository.Repository) error {
		sn, err := snapshot.Find(ctx, repo, word, r.filter())
		if err != nil {
			return err
		}
		bar := env.progress(r.progress)
		opts.Progress = bar
		res, err := restore.Run(ctx, repo, sn, opts)
		bar.done()
		if res == nil {
			return err
		}
		return errors.Join(r.report(env, sn, target, res, err), err)
	})
}

// preview shows what --delete would delete.
func (r *restoreFlags) preview(ctx context.Context, env *Env, word string, opts restore.Options) error {
	const most = 20
	var list []string
	more := int64(0)
	err := r.point(ctx, env, r.filter(), word, func(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot) error {
		return restore.Preview(ctx, repo, sn, opts, func(path string) error {
			if len(list) < most {
				list = append(list, path)
			} else {
				more++
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if r.json {
		err = env.json(map[string]any{"target": opts.Target, "would_delete": list, "more": more})
		return errors.Join(err, unconfirmed())
	}
	errs := []error{env.say("cli.restore.would-delete", "dir", opts.Target)}
	for _, name := range list {
		errs = append(errs, env.say("cli.restore.would-delete.name", "name", printable(name)))
	}
	if more > 0 {
		errs = append(errs, env.say("cli.restore.would-delete.more", "count", env.Lang.Number(more)))
	}
	return errors.Join(append(errs, unconfirmed())...)
}

// splitPoint takes "latest:/srv/emr" apart, as restic's users write it.
func splitPoint(word string) (point, subtree string) {
	for i := range word {
		if word[i] == ':' {
			return word[:i], cleanPath(word[i+1:])
		}
	}
	return word, ""
}

func holdsSomething(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close() // only read
	names, err := f.Readdirnames(1)
	return len(names) > 0 || err != nil && !errors.Is(err, io.EOF)
}

func unconfirmed() error { return usageOf(ErrUnconfirmed, "cli.unconfirmed") }

// restoreJSON is what repo restore --json prints.
type restoreJSON struct {
	Snapshot string        `json:"snapshot_id"`
	Target   string        `json:"target"`
	Files    int64         `json:"files"`
	Dirs     int64         `json:"dirs"`
	Others   int64         `json:"others,omitempty"`
	Bytes    int64         `json:"bytes"`
	Deleted  int64         `json:"deleted,omitempty"`
	Kept     int64         `json:"kept,omitempty"`
	Resumed  bool          `json:"resumed,omitempty"`
	Renamed  []renamedJSON `json:"renamed,omitempty"`
	Verified *verifiedJSON `json:"verified,omitempty"`
	Problems []problemJSON `json:"problems,omitempty"`
	Skipped  []problemJSON `json:"skipped,omitempty"`
}

type renamedJSON struct {
	Path string `json:"path"`
	Name string `json:"name"`
}

type verifiedJSON struct {
	Files      int64                 `json:"files"`
	Bytes      int64                 `json:"bytes"`
	Mismatches []restoreMismatchJSON `json:"mismatches,omitempty"`
}

type restoreMismatchJSON struct {
	Path string `json:"path"`
	What string `json:"what"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

func (r *restoreFlags) report(env *Env, sn *snapshot.Snapshot, target string, res *restore.Result, failed error) error {
	if r.json {
		return env.json(restoreObject(sn, target, res))
	}
	l := env.Lang
	var errs []error
	for _, s := range res.Skipped {
		errs = append(errs, env.say("cli.restore.skipped", "name", printable(s.Path), "error", s.Err.Error()))
	}
	for _, n := range res.Renamed {
		errs = append(errs, env.say("cli.restore.renamed", "path", printable(n.Path), "name", printable(n.Name)))
	}
	if res.Resumed || res.Kept > 0 {
		errs = append(errs, env.say("cli.restore.kept", "files", l.Number(res.Kept)))
	}
	if failed != nil && res.Verified == nil && res.Files+res.Dirs > 0 {
		errs = append(errs, env.say("cli.restore.again", "target", target))
	}
	errs = append(errs, env.say("cli.restore.done", "id", sn.Short(), "files", l.Number(res.Files),
		"dirs", l.Number(res.Dirs), "bytes", l.Bytes(res.Bytes), "target", target))
	if res.Verified != nil && failed == nil {
		errs = append(errs, env.say("cli.restore.verified", "files", l.Number(res.Verified.Files), "bytes", l.Bytes(res.Verified.Bytes)))
	}
	return errors.Join(errs...)
}

func restoreObject(sn *snapshot.Snapshot, target string, res *restore.Result) restoreJSON {
	out := restoreJSON{
		Snapshot: sn.ID, Target: target, Files: res.Files, Dirs: res.Dirs, Others: res.Others, Bytes: res.Bytes, Deleted: res.Deleted,
		Kept: res.Kept, Resumed: res.Resumed,
	}
	for _, n := range res.Renamed {
		out.Renamed = append(out.Renamed, renamedJSON(n))
	}
	for _, p := range res.Problems {
		out.Problems = append(out.Problems, problemJSON{Path: p.Path, Error: p.Err.Error()})
	}
	for _, p := range res.Skipped {
		out.Skipped = append(out.Skipped, problemJSON{Path: p.Path, Error: p.Err.Error()})
	}
	if v := res.Verified; v != nil {
		out.Verified = &verifiedJSON{Files: v.Files, Bytes: v.Bytes}
		for _, m := range v.Mismatches {
			out.Verified.Mismatches = append(out.Verified.Mismatches, restoreMismatchJSON(m))
		}
	}
	return out
}

func dumpCommand(env *Env, f *repoFlags) *cobra.Command {
	filter := &filterFlags{}
	var form string
	cmd := &cobra.Command{
		Use: "dump -r REPO POINT PATH", Short: env.t("cli.dump.short"), Args: count(2, 2),
		RunE: env.verb(func(ctx context.Context, args []string) error {
			return runDump(ctx, env, f, filter.filter(), args[0], cleanPath(args[1]), form)
		}),
	}
	filter.add(cmd, env)
	cmd.Flags().StringVarP(&form, "archive", "a", "tar", env.t("cli.flag.archive"))
	return cmd
}

func runDump(ctx context.Context, env *Env, f *repoFlags, filter snapshot.Filter, word, name, form string) error {
	if form != "tar" && form != "zip" {
		return usage("cli.usage.archive", "form", form)
	}
	return f.point(ctx, env, filter, word, func(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot) error {
		n, err := snapshot.Lookup(ctx, repo, sn, name)
		switch {
		case err != nil:
			return err
		case n.IsDir() && form == "zip":
			return restore.Zip(ctx, repo, sn, name, env.Out)
		case n.IsDir():
			return restore.Tar(ctx, repo, sn, name, env.Out)
		}
		r, err := restore.Open(ctx, repo, n)
		if err != nil {
			return err
		}
		_, err = io.Copy(env.Out, r)
		return errors.Join(err, r.Close())
	})
}
