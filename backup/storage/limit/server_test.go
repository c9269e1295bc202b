package limit_test

import (
	"bytes"
	"testing"
	"time"

	"emrvault/backup/storage"
	"emrvault/backup/storage/limit"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

// TestABucketIsPaced makes sure that what the client library does with bodies,
// such as hashing them first, neither counts twice nor slips through.
func TestABucketIsPaced(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a slow line: run without -short")
	}
	settings := s3test.Start(t).Settings(t)
	settings.Through, settings.PartSize = limit.Transport, 5<<20
	st := retry.New(limit.New(s3test.Open(t, settings), limit.NewLimiter(), pacer(t, "4MiB")), retry.Attended())
	for _, size := range []int{4 << 20, 8 << 20} { // in one piece, in parts
		data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		name, want := storagetest.Document(storage.Pack, data), time.Duration(size>>22)*time.Second
		began := time.Now()
		if err := st.Save(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		saved := time.Since(began)
		began = time.Now()
		if got, err := st.Load(t.Context(), name, nil, 0, -1); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		loaded := time.Since(began)
		for what, took := range map[string]time.Duration{"save": saved, "load": loaded} {
			if took < want*95/100 || took > want*3/2 {
				t.Errorf("%s %d MiB at 4 MiB a second: took %s, want %s", what, size>>20, took, want)
			}
		}
	}
}
