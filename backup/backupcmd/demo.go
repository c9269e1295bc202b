package backupcmd

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"emrvault/appliance/config"
	"emrvault/appliance/durable"
	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/osservice"
	"emrvault/appliance/secret"
	"emrvault/backup"
	"emrvault/backup/drill"
	"emrvault/backup/plan"
	"emrvault/backup/repository"
	"emrvault/backup/run"
	"emrvault/backup/source"
	"emrvault/backup/source/sample"
	storages "emrvault/backup/storage/all"
)

// Demo is the main job on a made-up hospital: a sample EMR, two plans (its
// database and its documents), a first backup of each with its drill, a day
// that goes by, a second backup. What a first start has finished, a second one
// finds and goes on from.
type Demo struct {
	Dir   string // data folder of the box
	Size  int64  // of the sample EMR, bytes; 0: the usual few hundred MB
	Actor string // who started it

	env *Env
	box *Appliance
}

const demoPlace = "demo"

// Run carries the story out, told on env.Err. The error says which plan could
// not be proven.
func (d Demo) Run(ctx context.Context, env *Env, box *Appliance) error {
	d.env, d.box = env, box
	fresh, err := d.hospital(ctx)
	if err != nil {
		return err
	}
	if err := d.repository(ctx); err != nil {
		return err
	}
	for _, p := range d.plans() {
		if err := d.plan(ctx, p); err != nil {
			return err
		}
	}
	if err := d.round(ctx, "demo.first"); err != nil {
		return err
	}
	if !fresh {
		return d.proven(ctx)
	}
	changes, err := sample.Day(ctx, d.emr(), env.now(), backup.Silent{})
	if err != nil {
		return err
	}
	d.tell("demo.day", "visits", changes.Visits, "documents", changes.Documents, "changed", changes.Changed, "deleted", changes.Deleted)
	if err := d.round(ctx, "demo.second"); err != nil {
		return err
	}
	return d.proven(ctx)
}

func (d Demo) emr() string          { return filepath.Join(d.Dir, "emr") }
func (d Demo) passwordFile() string { return filepath.Join(d.Dir, "demo-password") }

func (d Demo) tell(key string, args ...any) {
	// The story is for whoever watches; a closed terminal must not end it.
	_, _ = d.env.Err.Write([]byte(d.env.t(key, args...) + "\n"))
}

// Command is the verb. carryOut opens a box in Dir and calls Run; listen is
// the address of the page to show afterwards, empty with --once.
func (d Demo) Command(env *Env, data string, carryOut func(ctx context.Context, d Demo, listen string) error) *cobra.Command {
	var size, listen string
	var once bool
	cmd := &cobra.Command{Use: "demo", Short: env.t("demo.short"), Args: count(0, 0)}
	cmd.Flags().StringVar(&size, "size", "300M", env.t("demo.flag.size"))
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", env.t("demo.flag.listen"))
	cmd.Flags().BoolVar(&once, "once", false, env.t("demo.flag.once"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := d.choose(env, data, size, listen); err != nil {
			return err
		}
		if once {
			listen = ""
		}
		return osservice.Run(cmd.Context(), func(ctx context.Context) error { return tell(carryOut(ctx, d, listen)) })
	}
	return cmd
}

// choose checks the flags. A demo keeps away from the place where the real box
// has its data, and from the network: its page is not encrypted.
func (d *Demo) choose(env *Env, data, size, listen string) error {
	bytes, err := humanize.ParseBytes(size)
	if err != nil || bytes == 0 || bytes > 1<<50 {
		return usage("demo.size", "value", size)
	}
	host, _, err := net.SplitHostPort(listen)
	if err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return usage("demo.loopback", "address", listen)
	}
	if data == "" && env.getenv("EMRVAULT_DATA") == "" {
		data = "emrvault-demo"
	}
	d.Size = int64(bytes)
	d.Dir, err = config.DataDir(data)
	return err
}

// hospital makes the sample EMR, unless a whole one lies there.
func (d Demo) hospital(ctx context.Context) (fresh bool, err error) {
	if sample.Exists(d.emr()) {
		d.tell("demo.emr.found", "dir", d.emr())
		return false, nil
	}
	d.tell("demo.emr.making", "dir", d.emr())
	if err := os.RemoveAll(d.emr()); err != nil { // the half of a start that was cut off
		return false, err
	}
	bar := d.env.progress(false)
	defer bar.done()
	// Its history ends a day ago: the day that then goes by ends now.
	changes, err := sample.Create(ctx, d.emr(), sample.Options{
		Bytes: d.Size, Seed: 1, Now: d.env.now().AddDate(0, 0, -1), Progress: bar,
	})
	if err != nil {
		return false, err
	}
	d.tell("demo.emr.made", "patients", changes.Patients, "documents", changes.Documents, "size", d.env.Lang.Bytes(changes.Bytes))
	return true, nil
}

// repository makes the demo's repository with a password that a person may
// read, so that stock restic can be tried on it.
func (d Demo) repository(ctx context.Context) error {
	_, err := d.box.Book.Repository(ctx, demoPlace)
	if errs.KindOf(err) != errs.NotFound {
		return err
	}
	word, err := d.password()
	if err != nil {
		return err
	}
	place, err := filepath.Abs(filepath.Join(d.Dir, "repository"))
	if err != nil {
		return err
	}
	st, err := storages.Open(ctx, place)
	if err != nil {
		return err
	}
	repo, err := repository.Create(ctx, st, word)
	if err == nil {
		err = repo.Close()
	}
	if err != nil && !errors.Is(err, backup.ErrRepositoryExists) {
		return err
	}
	_, err = d.box.Runner.Repositories().Adopt(ctx, plan.Place{Name: demoPlace, Location: place}, secret.NewText(word))
	return err
}

func (d Demo) password() (string, error) {
	text, err := os.ReadFile(d.passwordFile())
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	word := rand.Text()
	return word, durable.WriteFile(d.passwordFile(), []byte(word+"\n"), 0o600)
}

// plans are what protects the sample EMR.
func (d Demo) plans() []plan.Plan {
	database := plan.Plan{
		Name: "emr-database", Title: d.env.t("demo.plan.database"), Schedule: "0 22 * * *",
		Source: source.Spec{Kind: "sqlite", Settings: map[string]any{"path": filepath.Join(d.emr(), sample.Database)}},
	}
	for _, a := range sample.Assertions() {
		database.Drill.Assertions = append(database.Drill.Assertions, plan.Assertion{
			Kind: plan.AssertSQL, Name: d.env.t(a.Key), Query: a.SQL, Expect: a.Want,
		})
	}
	database.Drill.Assertions = append(database.Drill.Assertions, plan.Assertion{
		Kind: plan.AssertNewest, Name: d.env.t("demo.assert.newest"), Query: sample.NewestDocument, Within: plan.Duration(48 * time.Hour),
	})
	documents := plan.Plan{
		Name: "emr-documents", Title: d.env.t("demo.plan.documents"), Schedule: "30 22 * * *",
		Source: source.Spec{Kind: "files", Settings: map[string]any{"paths": []any{filepath.Join(d.emr(), sample.Documents)}}},
		Drill: plan.DrillRule{Assertions: []plan.Assertion{
			{Kind: plan.AssertCount, Name: d.env.t("demo.assert.count"), Path: "**/*.xml", Min: 1},
		}},
	}
	return []plan.Plan{database, documents}
}

// plan writes a plan down unless a start before has done so.
func (d Demo) plan(ctx context.Context, p plan.Plan) error {
	_, err := d.box.Book.Plan(ctx, p.Name)
	if errs.KindOf(err) != errs.NotFound {
		return err
	}
	p.Repository, p.Enabled, p.Drill.AfterBackup = demoPlace, true, true
	p.Keep = plan.Keep{Last: 3, Daily: 14, Weekly: 8, Monthly: 12, Yearly: 30}
	p.RTO, p.RPO = plan.Duration(30*time.Minute), plan.Duration(25*time.Hour)
	_, err = d.box.Book.Add(ctx, p)
	return err
}

// round backs every plan up and waits for its drill. A plan that is proven
// already has nothing to do in the first round.
func (d Demo) round(ctx context.Context, title string) error {
	for _, p := range d.plans() {
		standing, err := d.box.Book.Standing(ctx, p.Name)
		if err != nil {
			return err
		}
		if title == "demo.first" && standing.Proven != nil {
			continue
		}
		d.tell(title, "plan", p.Title)
		if err := d.backup(ctx, p.Name); err != nil {
			return err
		}
	}
	return nil
}

// backup runs one plan to the end of its drill and tells the figures.
func (d Demo) backup(ctx context.Context, name string) error {
	id, err := d.box.Runner.Backup(ctx, name, d.Actor)
	if err != nil && errs.KindOf(err) != errs.Busy { // Busy: one runs already, wait for that
		return err
	}
	f := following{}
	if _, err := f.follow(ctx, d.env, d.box, id); err != nil {
		return err
	}
	if err := d.point(ctx, name); err != nil {
		return err
	}
	p, err := d.box.Book.Plan(ctx, name)
	if err != nil {
		return err
	}
	drills, _, err := d.box.Jobs.List(ctx, jobs.Filter{Key: run.DrillKey(p.ID), Limit: 1})
	if err != nil || len(drills) == 0 {
		return err
	}
	if _, err := f.follow(ctx, d.env, d.box, drills[0].ID); err != nil {
		return err
	}
	v, err := d.box.Drills.OfJob(ctx, drills[0].ID)
	if err != nil {
		return err
	}
	d.tell("demo.drill."+v.State, "files", v.Figures.Files, "rto", d.env.Lang.Duration(v.Figures.RTO.D()), "number", v.Number)
	return nil
}

func (d Demo) point(ctx context.Context, name string) error {
	points, _, err := d.box.Book.Points(ctx, plan.PointFilter{Plan: name, Limit: 1})
	if err != nil || len(points) == 0 {
		return err
	}
	p := points[0]
	d.tell("demo.point", "id", p.Short(), "files", p.Files, "size", d.env.Lang.Bytes(p.Bytes),
		"added", d.env.Lang.Bytes(p.Added), "took", d.env.Lang.Duration(p.Took()))
	return nil
}

// proven is nil when the newest point of every plan has passed its drill.
func (d Demo) proven(ctx context.Context) error {
	for _, p := range d.plans() {
		standing, err := d.box.Book.Standing(ctx, p.Name)
		if err != nil {
			return err
		}
		if standing.Drill == nil || standing.Drill.State != drill.Passed {
			return errs.New(errs.Conflict, "demo.unproven", "plan", p.Title)
		}
	}
	d.tell("demo.proven", "repository", filepath.Join(d.Dir, "repository"), "password", d.passwordFile())
	return nil
}
