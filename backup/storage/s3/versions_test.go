package s3_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

func save(t *testing.T, s storage.Storage, kind storage.Kind, text string) storage.Name {
	t.Helper()
	name := storagetest.Document(kind, []byte(text))
	if err := s.Save(t.Context(), name, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return name
}

func list(t *testing.T, s storage.Storage, kind storage.Kind) (ids []string) {
	t.Helper()
	if err := s.List(t.Context(), kind, func(info storage.Info) error { ids = append(ids, info.Name.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

// moment is a time between what was done and what will be done. The server
// tells time to the second, so it waits for the next one.
func moment() time.Time {
	next := time.Now().Truncate(time.Second).Add(time.Second)
	time.Sleep(time.Until(next) + 5*time.Millisecond)
	return next.Add(-time.Millisecond)
}

func TestAt(t *testing.T) {
	t.Parallel()
	settings := s3test.Shared(t).Settings(t, s3test.Versions)
	settings.Prefix = "emr"
	s := s3test.Open(t, settings)
	before := moment()
	stays, goes := save(t, s, storage.Pack, "stays"), save(t, s, storage.Pack, "goes")
	config := storage.Name{Kind: storage.Config}
	if err := s.Save(t.Context(), config, []byte("config")); err != nil {
		t.Fatal(err)
	}
	whole := moment()

	// The attack: rubbish over one document, deletion of another.
	client := s3test.Client(t, settings)
	if _, err := client.PutObject(t.Context(), settings.Bucket, "emr/"+stays.Path(), strings.NewReader("rubbish"), 7, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), goes); err != nil {
		t.Fatal(err)
	}
	late := save(t, s, storage.Pack, "late")
	after := moment()
	if err := s.Remove(t.Context(), late); err != nil {
		t.Fatal(err)
	}

	for _, tt := range []struct {
		name  string
		at    time.Time
		packs []storage.Name
		stays string
	}{
		{"before anything", before, nil, ""},
		{"when it was whole", whole, []storage.Name{stays, goes}, "stays"},
		{"after the attack", after, []storage.Name{stays, late}, "rubbish"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			view, err := s.At(t.Context(), tt.at)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, n := range tt.packs {
				want = append(want, n.ID)
			}
			slices.Sort(want)
			if got := list(t, view, storage.Pack); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			got, err := view.Load(t.Context(), stays, nil, 0, -1)
			if tt.stays == "" && !errors.Is(err, backup.ErrNotFound) || tt.stays != "" && string(got) != tt.stays {
				t.Errorf("got %q, %v; want %q", got, err, tt.stays)
			}
			info, err := view.Stat(t.Context(), stays)
			if tt.stays != "" && (err != nil || info.Size != int64(len(tt.stays))) {
				t.Errorf("stat: got %v, %v", info, err)
			}
		})
	}
	view, err := s.At(t.Context(), after)
	if err != nil {
		t.Fatal(err)
	}
	readOnly(t, view, stays)
	history(t, view, stays, "rubbish", "stays")
	history(t, view, goes, "goes")
	history(t, view, config, "config")
	history(t, view, storagetest.Document(storage.Pack, []byte("never")))
}

func readOnly(t *testing.T, view storage.Storage, name storage.Name) {
	t.Helper()
	for what, err := range map[string]error{
		"save": view.Save(t.Context(), name, nil), "remove": view.Remove(t.Context(), name), "create": view.Create(t.Context()),
		"writable": view.(storage.Gate).Writable(t.Context()),
	} {
		if !errors.Is(err, backup.ErrReadOnly) {
			t.Errorf("%s in the past: got %v, want ErrReadOnly", what, err)
		}
	}
}

func history(t *testing.T, view storage.Storage, name storage.Name, want ...string) {
	t.Helper()
	past, ok := storage.As[storage.History](view)
	if !ok {
		t.Fatal("the view has no history")
	}
	var got []string
	var last time.Time
	err := past.Older(t.Context(), name, func(written time.Time, data []byte) bool {
		if !last.IsZero() && written.After(last) {
			t.Errorf("%s comes after %s", written, last)
		}
		last, got = written, append(got, string(data))
		return true
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("history of %s: got %q, %v; want %q", name, got, err, want)
	}
}

// More versions than fit on a page of a listing.
func TestAtPages(t *testing.T) {
	if testing.Short() {
		t.Skip("1,200 objects take some seconds; without -short they are made")
	}
	t.Parallel()
	settings := s3test.Shared(t).Settings(t, s3test.Versions)
	s := s3test.Open(t, settings)
	const documents = 1200
	work := make(chan int, documents)
	for i := range documents {
		work <- i
	}
	close(work)
	done := make(chan error)
	for range 8 {
		go func() {
			var err error
			for i := range work {
				data := fmt.Append(nil, i)
				if e := s.Save(context.Background(), storagetest.Document(storage.Index, data), data); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	whole := moment()
	for _, id := range list(t, s, storage.Index)[:documents/2] {
		if err := s.Remove(t.Context(), storage.Name{Kind: storage.Index, ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	view, err := s.At(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(list(t, view, storage.Index)); got != documents {
		t.Errorf("the view shows %d documents, want %d", got, documents)
	}
	if got := len(list(t, s, storage.Index)); got != documents/2 {
		t.Errorf("the bucket shows %d documents, want %d", got, documents/2)
	}
}

func TestAtWithoutVersions(t *testing.T) {
	s := s3test.Open(t, s3test.Shared(t).Settings(t))
	if _, err := s.At(t.Context(), time.Now()); !errors.Is(err, backup.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}
