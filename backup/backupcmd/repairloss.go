package backupcmd

import (
	"context"
	"errors"
	"fmt"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// losses tells which files of which points are hit by damage in some packs.
func (v *verdict) losses(ctx context.Context, repo *repository.Repository, packs []blob.ID) (snapshot.LossReport, error) {
	bad, err := repo.Unreadable(ctx, packs)
	if err != nil {
		return snapshot.LossReport{}, err
	}
	return v.lossesOf(ctx, repo, bad)
}

func (v *verdict) lossesOf(ctx context.Context, repo *repository.Repository, bad *blob.Set) (snapshot.LossReport, error) {
	v.bar.Stage(backup.StageVerify)
	var said []error
	report, err := snapshot.Losses(ctx, repo, bad, func(l snapshot.Loss) { said = append(said, v.loss(l)) })
	if report.More {
		said = append(said, v.line("cli.loss.more", map[string]any{"kind": "losses-more"}))
	}
	return report, errors.Join(err, errors.Join(said...))
}

func (v *verdict) loss(l snapshot.Loss) error {
	if v.json {
		return v.env.json(struct {
			Kind string `json:"kind"`
			snapshot.Loss
		}{"loss", l})
	}
	key := "cli.loss.part"
	switch {
	case l.Type == snapshot.Dir:
		key = "cli.loss.folder"
	case l.Missing >= l.Size:
		key = "cli.loss.file"
	}
	lang := v.env.Lang
	where := v.env.t("cli.loss.point", "id", l.Newest[:8], "first", lang.Date(l.First))
	if l.Points > 1 {
		where = v.env.t("cli.loss.points", "n", lang.Number(int64(l.Points)), "first", lang.Date(l.First), "last", lang.Date(l.Last))
	}
	return v.line(key, nil, "path", printable(l.Path), "size", lang.Bytes(int64(l.Size)), "missing", lang.Bytes(int64(l.Missing)), "where", where)
}

// line prints one line, or the object that says the same.
func (v *verdict) line(key string, object map[string]any, args ...any) error {
	if v.json {
		return v.env.json(object)
	}
	v.bar.mu.Lock()
	defer v.bar.mu.Unlock()
	v.bar.wipe()
	_, err := fmt.Fprintln(v.env.Out, v.env.t(key, args...))
	return err
}
