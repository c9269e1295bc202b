package plan

import (
	"testing"
	"time"

	"emrvault/appliance/store"
)

// Points come every hour, and the second place has been full for a day: the
// newest is always young, and still none of them has its copy.
func TestCopiesThatNeverHappenAreTold(t *testing.T) {
	n := open(t)
	n.write(func(tx *store.Tx) error {
		_, err := InsertRepository(tx, Repository{Name: "second", Location: "/second", Repository: "cd", BoxKey: "k2"})
		return err
	})
	p := good()
	p.Second, p.Schedule = "second", "0 * * * *"
	if _, err := n.book.Edit(t.Context(), "emr", p); err != nil {
		t.Fatal(err)
	}
	told := func(want int, safe string) {
		t.Helper()
		o, err := n.book.Overview(t.Context())
		if err != nil || o.Safe != safe || o.Main.Waiting != want {
			t.Errorf("got %s with %d points waiting, %v; want %s with %d", o.Safe, o.Main.Waiting, err, safe, want)
		}
	}
	for range 12 {
		n.run("succeeded", nil)
		n.pass(time.Hour)
	}
	told(0, SafeYes)
	n.run("succeeded", nil)
	n.pass(time.Hour)
	n.run("succeeded", nil)
	told(1, SafePartly)
	n.write(func(tx *store.Tx) error {
		list, err := Uncopied(tx, n.standing().Plan)
		for _, point := range list {
			if err := InsertCopy(tx, Copy{Point: point.ID, Repository: 2, Snapshot: point.Snapshot, Added: 7}); err != nil {
				return err
			}
		}
		return err
	})
	told(0, SafeYes)
	if r, err := n.book.Repository(t.Context(), "second"); err != nil || r.Stored != 14*7 || r.Points != 14 {
		t.Errorf("second place: got %d points with %d bytes, %v; want 14 with 98", r.Points, r.Stored, err)
	}
}
