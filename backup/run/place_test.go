package run_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"emrvault/appliance/errs"
	"emrvault/appliance/jobs"
	"emrvault/backup/drill/drilltest"
	"emrvault/backup/plan"
	"emrvault/backup/run"
)

// A repository fills its folder with hundreds of others. Where something else
// lives that would be a nuisance; inside what a plan protects, each backup
// would take the ones before it along.
func TestRepositoryKeepsOutOfOtherPlaces(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	docs(b, plan.Keep{Last: 1})
	full, link := b.Path("full"), b.Path("link")
	write(t, filepath.Join(full, "letter.txt"))
	if err := os.Symlink(b.Path("data"), link); err != nil {
		t.Fatal(err)
	}
	disk := b.Path("disk")
	if err := os.MkdirAll(filepath.Join(disk, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		name, place string
		want        errs.Kind
	}{
		{"the data folder", b.Path("data"), errs.Conflict},
		{"inside the data folder", b.Path("data/secret/repo"), errs.Conflict},
		{"around the data folder", b.Dir, errs.Conflict},
		{"a link into the data folder", filepath.Join(link, "repo"), errs.Conflict},
		{"inside what a plan protects", b.Path("emr/repo"), errs.Conflict},
		{"a folder that holds something", full, errs.Conflict},
		{"a file", filepath.Join(full, "letter.txt"), errs.Invalid},
		{"a new folder", b.Path("new/repo"), ""},
		{"an empty disk", disk, ""},
	} {
		_, err := b.Runner.Repositories().Create(t.Context(), plan.Place{Name: fmt.Sprintf("r%d", i), Location: c.place})
		if got := errs.KindOf(err); got != c.want {
			t.Errorf("%s (%s): got %v (%q), want %q", c.name, c.place, err, got, c.want)
		}
	}
	if left, err := os.ReadDir(full); err != nil || len(left) != 1 {
		t.Errorf("a refused folder holds %v (%v), want the letter alone", left, err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What any plan protects is in use, not only what the plan of the point does.
func TestRestoreKeepsOutOfEveryLivePlace(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	p := docs(b, plan.Keep{Last: 1})
	other := p
	other.ID, other.Name, other.Source.Name = 0, "other", "other"
	other.Source.Settings = map[string]any{"paths": []any{b.Path("live")}}
	write(t, b.Path("live/patient.xml"))
	if _, err := b.Book.Add(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	b.Backup(p.Name)
	points, _, err := b.Book.Points(t.Context(), plan.PointFilter{Plan: p.Name})
	if err != nil || len(points) != 1 {
		t.Fatalf("points: %v, %v", points, err)
	}
	link := b.Path("way")
	if err := os.Symlink(b.Path("live"), link); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"the data folder":         b.Path("data/x"),
		"the repository":          b.Path("repository/x"),
		"its own source":          b.Path("emr/x"),
		"another plan's source":   b.Path("live/x"),
		"a link to a live place":  filepath.Join(link, "x"),
		"a way round with dots":   b.Path("new") + "/../live/x",
		"a folder around a place": b.Dir,
	} {
		_, err := b.Runner.Restore(t.Context(), run.RestoreRequest{Point: points[0].ID, Target: target}, "somebody")
		if errs.KindOf(err) != errs.Conflict {
			t.Errorf("%s (%s): got %v, want it refused", name, target, err)
		}
	}
	if _, err := b.Runner.Restore(t.Context(), run.RestoreRequest{Point: points[0].ID, Target: b.Path("back")}, "somebody"); err != nil {
		t.Errorf("a new folder: got %v, want it taken", err)
	}
}

// Who protects the whole machine protects the box too, but neither the key
// that opens its sealed words nor the repository the backup goes to.
func TestBackupLeavesKeyAndRepositoryOut(t *testing.T) {
	t.Parallel()
	b := drilltest.Open(t)
	write(t, b.Path("emr/patient.xml"))
	b.Plan(plan.Plan{Name: "all", Source: b.Files()})
	if job := b.Backup("all"); job.State != jobs.Succeeded {
		t.Fatalf("backup: got %s (%v)", job.State, job.Failure)
	}
	point := b.Points("all")[0].ID
	for _, c := range []struct {
		path string
		want bool
	}{
		{"emr/patient.xml", true},
		{"data/emrvault.db", true},
		{"data/secret/box.key", false},
		{"repository/config", false},
	} {
		file, err := b.Runner.OpenFile(t.Context(), point, b.Path(c.path))
		if err == nil {
			err = file.Close()
		}
		if got := err == nil; got != c.want {
			t.Errorf("%s in the point: got %v (%v), want %v", c.path, got, err, c.want)
		}
	}
}
