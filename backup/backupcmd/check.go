package backupcmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

func checkCommand(env *Env, f *repoFlags) *cobra.Command {
	var readData bool
	var subset, rolling string
	cmd := &cobra.Command{
		Use: "check -r REPO", Short: env.t("cli.check.short"), Long: env.t("cli.check.long"), Args: count(0, 0),
		RunE: env.verb(func(ctx context.Context, _ []string) error {
			opts, err := checkOptions(readData, subset)
			if err != nil {
				return err
			}
			if rolling != "" {
				return runRolling(ctx, env, f, rolling, readData || subset != "")
			}
			return runCheck(ctx, env, f, opts)
		}),
	}
	cmd.Flags().BoolVar(&readData, "read-data", false, env.t("cli.flag.read-data"))
	cmd.Flags().StringVar(&subset, "read-data-subset", "", env.t("cli.flag.read-data-subset"))
	cmd.Flags().StringVar(&rolling, "rolling", "", env.t("cli.flag.rolling"))
	return cmd
}

func checkOptions(readData bool, subset string) (repository.CheckOptions, error) {
	opts := repository.CheckOptions{ReadData: readData}
	if subset == "" {
		return opts, nil
	}
	percent, err := strconv.ParseFloat(strings.TrimSuffix(subset, "%"), 64)
	if err != nil || !strings.HasSuffix(subset, "%") || percent <= 0 || percent > 100 {
		return opts, usage("cli.usage.subset", "subset", subset)
	}
	opts.ReadData = true
	if percent < 100 {
		opts.Subset = percent / 100
	}
	return opts, nil
}

// verdict counts findings while they are shown.
type verdict struct {
	env           *Env
	json          bool
	bar           *bar
	errors, hints int
	sick          map[blob.ID]bool // packs that something is wrong with
	failed        error
}

func (v *verdict) hear(f repository.Finding) {
	if f.Level == repository.Hint {
		v.hints++
	} else {
		v.errors++
		if id, ok := f.SickPack(); ok {
			if v.sick == nil {
				v.sick = make(map[blob.ID]bool)
			}
			v.sick[id] = true
		}
	}
	v.failed = errors.Join(v.failed, v.show(f))
}

func (v *verdict) show(f repository.Finding) error {
	if v.json {
		return v.env.json(f)
	}
	v.bar.mu.Lock()
	defer v.bar.mu.Unlock()
	v.bar.wipe()
	var args []any
	for name, value := range f.Args {
		args = append(args, name, value)
	}
	text := f.Text
	if v.env.Lang.Has(f.Key) {
		text = v.env.t(f.Key, args...)
	}
	_, err := fmt.Fprintln(v.env.Out, v.env.t("cli.check."+string(f.Level), "text", printable(text)))
	return err
}

func runCheck(ctx context.Context, env *Env, f *repoFlags, opts repository.CheckOptions) error {
	return f.locked(ctx, env, repository.Exclusive, func(ctx context.Context, repo *repository.Repository) error {
		bar := env.progress(f.progress)
		v := &verdict{env: env, json: f.json, bar: bar}
		bar.Stage(backup.StageCheck)
		err := v.all(ctx, repo, opts)
		bar.done()
		if err = errors.Join(err, v.failed); err != nil {
			return err
		}
		return v.conclude(f)
	})
}

func (v *verdict) all(ctx context.Context, repo *repository.Repository, opts repository.CheckOptions) error {
	if err := repo.CheckStore(ctx, opts, v.hear, v.bar); err != nil {
		return err
	}
	if _, err := repo.SalvageIndex(ctx); err != nil { // what is damaged has been told
		return err
	}
	if err := snapshot.Check(ctx, repo, v.hear); err != nil {
		return err
	}
	return v.aftermath(ctx, repo, opts.ReadData && opts.Subset == 0)
}

// aftermath tells what a check's findings mean: which files of which points are
// lost. Damaged packs are noted for the repair.
func (v *verdict) aftermath(ctx context.Context, repo *repository.Repository, everything bool) error {
	sick := slices.SortedFunc(maps.Keys(v.sick), blob.ID.Compare)
	if err := repo.RememberSick(sick, everything); err != nil || v.errors == 0 {
		return err
	}
	_, err := v.losses(ctx, repo, sick)
	return err
}

func (v *verdict) conclude(f *repoFlags) error {
	var err error
	switch {
	case f.json:
		err = v.env.json(map[string]any{"errors": v.errors, "hints": v.hints, "ok": v.errors == 0})
	case v.errors == 0:
		err = v.env.say("cli.check.good")
	}
	if err == nil && v.errors > 0 {
		err = fmt.Errorf("check found %d errors: %w", v.errors, backup.ErrDamaged)
	}
	return err
}
