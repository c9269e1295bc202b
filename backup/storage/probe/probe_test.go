package probe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/local"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/probe"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/storagetest"
)

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func run(t *testing.T, st storage.Storage) probe.Report {
	t.Helper()
	report, err := probe.Run(t.Context(), st, noon)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func wantStates(t *testing.T, r probe.Report, want map[string]probe.State) {
	t.Helper()
	for _, step := range r.Steps {
		state := probe.OK
		if slices.Contains([]string{probe.ConditionalPut, probe.Versioning, probe.ObjectLock, probe.Checksum, probe.Clock}, step.Name) {
			state = probe.Unsupported
		}
		if special, ok := want[step.Name]; ok {
			state = special
		}
		if step.State != state {
			t.Errorf("%s: got %s (%s), want %s", step.Name, step.State, step.Text, state)
		}
		if step.State != probe.OK && step.Text == "" {
			t.Errorf("%s is %s without a reason", step.Name, step.State)
		}
	}
	for name, state := range want {
		if step, ok := r.Step(name); !ok && state != "" || ok && state == "" {
			t.Errorf("%s: got %v, want %q", name, step, state)
		}
	}
}

func TestAFolder(t *testing.T) {
	dir := t.TempDir()
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, st)
	if len(r.Steps) != 13 || !r.Usable || r.Location != dir || r.Time != noon() {
		t.Errorf("got %+v", r)
	}
	wantStates(t, r, nil)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("the probe leaves %v behind (%v)", left, err)
	}
	var again probe.Report
	text, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil || len(again.Steps) != 13 || again.Steps[0].Name != probe.Write {
		t.Errorf("as JSON it is %s (%v)", text, err)
	}
}

func TestAFolderThatIsNotThere(t *testing.T) {
	st, err := local.Open(filepath.Join(t.TempDir(), "nothing"))
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, st)
	wantStates(t, r, map[string]probe.State{probe.Write: probe.Failed, probe.Read: "", probe.Delete: ""})
	if r.Usable {
		t.Error("it is called usable")
	}
	if r.Steps[0].Key != probe.NoPlace {
		t.Errorf("the key is %q (%s), want that it is told from a place that refuses", r.Steps[0].Key, r.Steps[0].Text)
	}
}

// bad is a place with one thing wrong.
type bad struct {
	*mem.Storage
	stale, deaf, ranges, undead bool
}

func (b bad) List(ctx context.Context, kind storage.Kind, fn func(storage.Info) error) error {
	if b.stale {
		return nil
	}
	return b.Storage.List(ctx, kind, fn)
}

func (b bad) Load(ctx context.Context, name storage.Name, buf []byte, offset, length int64) ([]byte, error) {
	if b.ranges && length > 0 {
		offset = 0
	}
	return b.Storage.Load(ctx, name, buf, offset, length)
}

func (b bad) Remove(ctx context.Context, name storage.Name) error {
	if b.undead {
		return nil
	}
	return b.Storage.Remove(ctx, name)
}

func (b bad) Save(ctx context.Context, name storage.Name, data []byte) error {
	if b.deaf {
		return fmt.Errorf("save: %w", backup.ErrReadOnly)
	}
	return b.Storage.Save(ctx, name, data)
}

func TestWhatIsWrongIsFound(t *testing.T) {
	tests := []struct {
		name string
		bad  bad
		want map[string]probe.State
	}{
		{"stale listing", bad{stale: true}, map[string]probe.State{probe.List: probe.Failed}},
		{"wrong ranges", bad{ranges: true}, map[string]probe.State{probe.Range: probe.Failed}},
		{"nothing can be removed", bad{undead: true}, map[string]probe.State{probe.Delete: probe.Failed}},
		{"read-only", bad{deaf: true}, map[string]probe.State{probe.Write: probe.Failed, probe.Read: "", probe.Upload: ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.bad.Storage = mem.New()
			r := run(t, tt.bad)
			wantStates(t, r, tt.want)
			if r.Usable {
				t.Error("it is called usable")
			}
		})
	}
}

// TestTroubleIsNotHidden would take a quarter of an hour otherwise.
func TestTroubleIsNotHidden(t *testing.T) {
	twin := &storagetest.Scripted{Storage: mem.New(), Script: []storagetest.Turn{{Err: errors.New("away")}}}
	r := run(t, retry.New(twin, retry.Night()))
	wantStates(t, r, map[string]probe.State{probe.Write: probe.Failed, probe.Read: ""})
}

func TestAnInterruptedProbeCleansUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	inner := mem.New()
	st := &storagetest.Scripted{Storage: inner, Script: []storagetest.Turn{{}, {}, {Hang: true}}}
	go func() {
		for len(st.Calls()) < 3 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := probe.Run(ctx, st, noon); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	err := inner.List(t.Context(), storage.Scratch, func(info storage.Info) error {
		t.Errorf("%s is left", info.Name)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// clever is a place that knows more.
type clever struct{ *mem.Storage }

func (clever) Probe(context.Context, func() time.Time) []probe.Step {
	return []probe.Step{
		probe.Ask(probe.Versioning, func() probe.Answer { return probe.Told(nil) }),
		probe.Ask(probe.ObjectLock, func() probe.Answer { return probe.Told(fmt.Errorf("no: %w", backup.ErrUnsupported)) }),
		probe.Ask(probe.Clock, func() probe.Answer { return probe.Told(errors.New("off by an hour")) }),
	}
}

func (c clever) Tidy(ctx context.Context) error {
	return c.Save(ctx, storage.Name{Kind: storage.Scratch}, []byte("tidied"))
}

func TestAPlaceThatKnowsMore(t *testing.T) {
	inner := mem.New()
	r := run(t, clever{inner})
	if _, err := inner.Stat(t.Context(), storage.Name{Kind: storage.Scratch}); err != nil {
		t.Errorf("it was not asked to tidy up: %v", err)
	}
	wantStates(t, r, map[string]probe.State{probe.Versioning: probe.OK, probe.ObjectLock: probe.Unsupported, probe.Clock: probe.Failed})
	if !r.Usable {
		t.Error("a clock that is off makes it unusable")
	}
}

func TestReasonsAreNamed(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{fmt.Errorf("save: %w", backup.ErrStorageFull), "full"},
		{fmt.Errorf("save: %w", backup.ErrReadOnly), "read-only"},
		{fmt.Errorf("save: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")}), "unreached"},
		{errors.New("something else"), "error"},
		{nil, ""},
	}
	for _, tt := range tests {
		if got := probe.Told(tt.err); got.Key != tt.want {
			t.Errorf("%v: got the key %q, want %q", tt.err, got.Key, tt.want)
		}
	}
}
