package plan

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"emrvault/appliance/store"
)

// What the box knew before there were places with settings, and second copies,
// reads as it did.
func TestKeptBookReads(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "appliance", "store", "testdata", "kept", "0003.sql"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(string(text)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b := NewBook(st, time.UTC)
	places, err := b.Repositories(t.Context())
	if err != nil || len(places) != 1 || places[0].Name != "main" || places[0].CheckState != "good" || places[0].Points != 1 ||
		places[0].Settings != (StorageSettings{}) || places[0].Care.Damaged != 0 || !places[0].NextCare.IsZero() {
		t.Errorf("repositories: got %+v, %v", places, err)
	}
	p, err := b.Plan(t.Context(), "emr")
	if err != nil || p.Title != "电子病历主库" || p.Keep != (Keep{Last: 3, Daily: 14}) || p.Second != "" {
		t.Errorf("plan: got %+v, %v", p, err)
	}
	points, total, err := b.Points(t.Context(), PointFilter{Plan: "emr"})
	if err != nil || total != 1 || points[0].Percent != 100 || points[0].Copies != "" {
		t.Errorf("points: got %+v, %v", points, err)
	}
}
