package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"emrvault/backup/repository"
	"emrvault/backup/snapshot"
)

func pointsCommand(env *Env, f *repoFlags) *cobra.Command {
	filter := &filterFlags{}
	cmd := &cobra.Command{
		Use: "points -r REPO", Short: env.t("cli.points.short"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error { return runPoints(ctx, env, f, filter.filter()) }),
	}
	filter.add(cmd, env)
	return cmd
}

// pointJSON is a snapshot for programs: the document and its id.
type pointJSON struct {
	ID    string `json:"id"`
	Short string `json:"short_id"`
	*snapshot.Snapshot
}

func runPoints(ctx context.Context, env *Env, f *repoFlags, filter snapshot.Filter) error {
	return f.open(ctx, env, func(repo *repository.Repository) error {
		list, listErr := snapshot.List(ctx, repo, filter)
		if f.json {
			for _, s := range list {
				if err := env.json(pointJSON{s.ID, s.Short(), s}); err != nil {
					return err
				}
			}
			return listErr
		}
		return errors.Join(env.pointTable(list), listErr)
	})
}

func (e *Env) pointTable(list []*snapshot.Snapshot) error {
	if len(list) == 0 {
		return e.say("cli.points.none")
	}
	head := []string{e.t("cli.points.id"), e.t("cli.points.time"), e.t("cli.points.host"), e.t("cli.points.tags"), e.t("cli.points.size"), e.t("cli.points.paths")}
	var rows [][]string
	for _, s := range list {
		size := ""
		if s.Summary != nil {
			size = e.Lang.Bytes(int64(s.Summary.TotalBytesProcessed))
		}
		rows = append(rows, []string{
			s.Short(), e.Lang.Time(s.Time), s.Hostname, strings.Join(s.Tags, ","), size, printable(strings.Join(s.Paths, ", ")),
		})
	}
	if err := e.table(head, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.Out, e.Lang.Plural("cli.points.count", len(list)))
	return err
}

func lsCommand(env *Env, f *repoFlags) *cobra.Command {
	filter := &filterFlags{}
	var long bool
	cmd := &cobra.Command{
		Use: "ls -r REPO POINT [PATH]", Short: env.t("cli.ls.short"), Args: count(1, 2),
		RunE: env.verb(func(ctx context.Context, args []string) error {
			return runLs(ctx, env, f, filter.filter(), args, long)
		}),
	}
	filter.add(cmd, env)
	cmd.Flags().BoolVarP(&long, "long", "l", false, env.t("cli.flag.long"))
	return cmd
}

// nodeJSON is one entry of a snapshot for programs.
type nodeJSON struct {
	Name   string            `json:"name"`
	Type   snapshot.NodeType `json:"type"`
	Path   string            `json:"path"`
	UID    uint32            `json:"uid"`
	GID    uint32            `json:"gid"`
	Size   uint64            `json:"size"`
	Mode   fs.FileMode       `json:"mode"`
	Time   time.Time         `json:"mtime"`
	Target string            `json:"linktarget,omitempty"`
	Error  string            `json:"error,omitempty"`
}

func runLs(ctx context.Context, env *Env, f *repoFlags, filter snapshot.Filter, args []string, long bool) error {
	return f.point(ctx, env, filter, args[0], func(ctx context.Context, repo *repository.Repository, sn *snapshot.Snapshot) error {
		name := "/"
		if len(args) > 1 {
			name = cleanPath(args[1])
		}
		top, err := snapshot.Lookup(ctx, repo, sn, name)
		if err != nil {
			return err
		}
		show := func(name string, n *snapshot.Node) error { return env.entry(f, long, name, n) }
		if name != "/" {
			if err := show(name, top); err != nil {
				return err
			}
		}
		if !top.IsDir() {
			return nil
		}
		var problems []error
		w := snapshot.Walker{Visit: show, Problem: func(path string, err error) error {
			problems = append(problems, fmt.Errorf("%s: %w", path, err))
			return nil
		}}
		return errors.Join(w.Walk(ctx, repo, name, top.Subtree), errors.Join(problems...))
	})
}

func (e *Env) entry(f *repoFlags, long bool, name string, n *snapshot.Node) error {
	if f.json {
		return e.json(nodeJSON{
			Name: n.Name, Type: n.Type, Path: name, UID: n.UID, GID: n.GID,
			Size: n.Size, Mode: n.Mode, Time: n.ModTime, Target: n.LinkTarget, Error: n.Error,
		})
	}
	if !long {
		_, err := fmt.Fprintln(e.Out, printable(name))
		return err
	}
	line := fmt.Sprintf("%s %6d %6d %12d %s %s", n.Mode, n.UID, n.GID, n.Size, n.ModTime.Local().Format(time.DateTime), printable(name))
	if n.Type == snapshot.Symlink {
		line += " -> " + printable(n.LinkTarget)
	}
	_, err := fmt.Fprintln(e.Out, line)
	return err
}

// cleanPath takes the path of a snapshot as people type it, on Windows too.
func cleanPath(name string) string {
	return "/" + strings.Trim(strings.ReplaceAll(name, "//", "/"), "/")
}

// point opens the repository for reading and finds the snapshot that word names.
func (f *repoFlags) point(ctx context.Context, env *Env, filter snapshot.Filter, word string,
	fn func(context.Context, *repository.Repository, *snapshot.Snapshot) error,
) error {
	return f.locked(ctx, env, repository.Read, func(ctx context.Context, repo *repository.Repository) error {
		sn, err := snapshot.Find(ctx, repo, word, filter)
		if err != nil {
			return err
		}
		damage, err := repo.SalvageIndex(ctx) // after the point: what it needs is in the index by then
		if err != nil {
			return err
		}
		for _, d := range damage {
			fmt.Fprintln(env.Err, env.t("cli.problem", "name", "index", "error", d))
		}
		return fn(ctx, repo, sn)
	})
}
