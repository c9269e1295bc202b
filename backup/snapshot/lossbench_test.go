package snapshot_test

import (
	"fmt"
	"testing"

	"emrvault/backup/repository/blob"
	"emrvault/backup/snapshot"
)

// BenchmarkLosses has one damaged file in a folder that two thousand points
// share, beside what each has of its own.
func BenchmarkLosses(b *testing.B) {
	w := newWard(b)
	for day := range 2000 {
		w.point(day, folder{
			"data":  folder{"deep": folder{"chart.db": []string{"chart"}}},
			"today": folder{"own": []string{fmt.Sprint("day ", day)}},
		})
	}
	repo := w.open()
	bad := blob.NewSet(piece("chart"))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if _, err := snapshot.Losses(b.Context(), repo, bad, func(snapshot.Loss) { n++ }); err != nil || n != 1 {
			b.Fatalf("got %d losses, %v, want one", n, err)
		}
	}
}
