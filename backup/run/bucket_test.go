package run_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/appliance/secret"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
	"emrvault/backup/run"
	"emrvault/backup/storage/probe"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
)

func TestMain(m *testing.M) { os.Exit(s3test.Main(m)) }

// bucket is what a person enters of a bucket.
func bucket(name string, at s3.Settings) plan.Place {
	return plan.Place{
		Name: name, Location: at.Location(), Secret: secret.NewText(at.SecretKey),
		Settings: plan.StorageSettings{Region: at.Region, AccessKey: at.AccessKey, Proxy: "direct", VerifyDays: 1},
	}
}

// The second copy lies in a bucket that locks what is stored; the first is
// damaged and healed from there.
func TestSecondCopyInALockedBucket(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	place := bucket("far", s3test.Shared(t).Settings(t, s3test.Locking))
	place.Settings.LockDays = 2
	far := makePlace(t, b, place)
	if said := run.Probed(far); said == nil || !said.Usable {
		t.Fatalf("what the bucket said was not kept: %+v", said)
	}
	b.Write(strings.Repeat("入院记录", 20_000), "emr", "a.xml")
	b.Plan(plan.Plan{Name: "docs", Source: b.Files("emr"), Second: "far"})
	main := placeNamed(t, b, "main")
	if _, err := b.Runner.Repositories().Change(t.Context(), main.ID, plan.StorageSettings{VerifyDays: 1}, secret.Text{}); err != nil {
		t.Fatal(err)
	}
	if p := backedUp(t, b); p.Copies != "far" {
		t.Fatalf("copies: got %q, want far", p.Copies)
	}
	spoilPacks(t, main.Location, 0)
	if job, got := care(t, b, "main"); job.State != jobs.Succeeded || got.Healed == 0 || got.Damaged != 0 {
		t.Errorf("care: got %s (%v), %+v; want the first healed from the bucket", job.State, job.Failure, got)
	}
	b.Clock.Move(30 * time.Hour) // less than half of the lock is left
	job, got := care(t, b, "far")
	var result run.CareResult
	if err := json.Unmarshal(job.Result, &result); err != nil {
		t.Fatal(err)
	}
	if job.State != jobs.Succeeded || result.Protected == 0 || got.LockedTo.Before(b.Clock.Now().Add(23*time.Hour)) {
		t.Errorf("care of the bucket: got %s (%v), %+v; want locks prolonged", job.State, job.Failure, result)
	}
	if storeHolds(t, b, s3test.SecretKey) {
		t.Error("the secret key lies open in the data folder")
	}
	stock(t, b, "main")
}

func TestPlacesAreTriedBeforeTheyAreTaken(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	places := b.Runner.Repositories()
	good := bucket("far", s3test.Shared(t).Settings(t))
	for _, c := range []struct {
		name   string
		change func(*plan.Place)
		key    string
	}{
		{"no key", func(p *plan.Place) { p.Settings.AccessKey = "" }, "run.place.key"},
		{"wrong secret", func(p *plan.Place) { p.Secret = secret.NewText("hunter2") }, ""},
		{"lock without object lock", func(p *plan.Place) { p.Settings.LockDays = 30 }, "run.place.nolock"},
		{"hours nobody can read", func(p *plan.Place) { p.Settings.Bandwidth = "a little" }, "run.place.bandwidth"},
		{"read back somehow", func(p *plan.Place) { p.Settings.ReadBack = "some" }, "run.place.readback"},
	} {
		place := good
		c.change(&place)
		_, err := places.Create(t.Context(), place)
		if err == nil || errs.KindOf(err) == errs.Internal || c.key != "" && !told(err, c.key) {
			t.Errorf("%s: got %v (%s), want words a person can act on (%s)", c.name, err, errs.KindOf(err), c.key)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the secret is told: %v", c.name, err)
		}
	}
	report, err := places.Probe(t.Context(), good)
	if err != nil || !report.Usable {
		t.Fatalf("probe: got %+v, %v; want it usable", report, err)
	}
	if list, err := b.Book.Repositories(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("repositories after a probe: got %v, %v; want none", list, err)
	}
	made := makePlace(t, b, good)
	if again, err := places.ProbeAgain(t.Context(), made.ID); err != nil || !again.Usable {
		t.Errorf("asked again: got %+v, %v", again, err)
	}
	if _, err := places.Change(t.Context(), made.ID, made.Settings, secret.NewText("hunter2")); err == nil {
		t.Error("a secret that does not open the bucket was taken")
	}
	settings := made.Settings
	settings.Bandwidth, settings.ReadBack = "07:00-19:00 10MiB, else unlimited", "all"
	if changed, err := places.Change(t.Context(), made.ID, settings, secret.Text{}); err != nil || changed.Settings != settings {
		t.Errorf("change: got %+v, %v; want %+v", changed.Settings, err, settings)
	}
	if _, err := places.Space(t.Context(), made.ID); err != nil {
		t.Errorf("after the change: %v", err)
	}
}

func told(err error, key string) bool {
	var words interface{ Message() (string, []any) }
	return errors.As(err, &words) && first(words.Message()) == key
}

func first(key string, _ []any) string { return key }

// A folder can be tried as well; nothing is left behind.
func TestFolderIsTried(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	report, err := b.Runner.Repositories().Probe(t.Context(), plan.Place{Name: "new", Location: b.Path("new")})
	if err != nil || !report.Usable {
		t.Errorf("got %+v, %v; want it usable", report, err)
	}
	if step, asked := report.Step(probe.ObjectLock); !asked || step.State == probe.OK {
		t.Errorf("object lock of a folder: got %+v", step)
	}
	if _, err := os.Stat(b.Path("new")); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}
