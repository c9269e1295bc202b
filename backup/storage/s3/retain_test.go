package s3_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

func locking(t *testing.T) (*locked, storage.Storage) {
	t.Helper()
	settings := s3test.Shared(t).Settings(t, s3test.Locking)
	settings.Lock, settings.PartSize = time.Hour, 5<<20
	s := s3test.Open(t, settings)
	return &locked{client: s3test.Client(t, settings), bucket: settings.Bucket, Retainer: s}, s
}

// locked is a bucket as its attacker sees it.
type locked struct {
	storage.Retainer
	client *minio.Client
	bucket string
}

// destroy tries to delete every version of a document and tells how many were.
func (l *locked) destroy(t *testing.T, name storage.Name) (destroyed int) {
	t.Helper()
	for object := range l.client.ListObjectsIter(t.Context(), l.bucket, minio.ListObjectsOptions{Prefix: name.Path(), Recursive: true, WithVersions: true}) {
		if object.Err != nil {
			t.Fatal(object.Err)
		}
		if object.IsDeleteMarker {
			continue
		}
		if err := l.client.RemoveObject(t.Context(), l.bucket, object.Key, minio.RemoveObjectOptions{VersionID: object.VersionID, GovernanceBypass: true}); err == nil {
			destroyed++
		}
	}
	return destroyed
}

func TestLock(t *testing.T) {
	l, s := locking(t)
	begin := time.Now().Truncate(time.Second)
	if l.Period() != time.Hour {
		t.Errorf("period: got %s", l.Period())
	}
	for _, kind := range []storage.Kind{storage.Key, storage.Snapshot, storage.Index, storage.Pack} {
		name := save(t, s, kind, "document of "+string(kind))
		until, known, err := l.Retention(t.Context(), name)
		if err != nil || !known || until.Before(begin.Add(time.Hour-time.Minute)) || until.After(time.Now().Add(time.Hour+time.Minute)) {
			t.Errorf("%s is locked until %s, %v, %v; want an hour from now", kind, until, known, err)
		}
		if err := s.Remove(t.Context(), name); err != nil {
			t.Errorf("remove %s, which leaves a mark: %v", kind, err)
		}
		if n := l.destroy(t, name); n != 0 {
			t.Errorf("%d versions of a locked %s were destroyed", n, kind)
		}
		view, err := s.(storage.Versioned).At(t.Context(), time.Now().Add(-time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		history(t, view, name, "document of "+string(kind))
	}
	for _, kind := range []storage.Kind{storage.Lock, "probe"} {
		name := save(t, s, kind, "removable")
		if n := l.destroy(t, name); n != 1 {
			t.Errorf("%d versions of kind %s were destroyed, want 1", n, kind)
		}
		if err := l.Retain(t.Context(), name, time.Now().Add(time.Hour)); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("lock %s: got %v, want ErrInvalid", kind, err)
		}
	}
}

func TestLockInParts(t *testing.T) {
	l, s := locking(t)
	data := make([]byte, 12<<20)
	data[11<<20] = 1
	name := storagetest.Document(storage.Pack, data)
	if err := s.Save(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
	if _, known, err := l.Retention(t.Context(), name); err != nil || !known {
		t.Errorf("got %v, %v; want a known lock", known, err)
	}
	if n := l.destroy(t, name); n != 0 {
		t.Errorf("%d versions were destroyed", n)
	}
}

func TestRetain(t *testing.T) {
	l, s := locking(t)
	name := save(t, s, storage.Pack, "pack")
	until := func() time.Time {
		t.Helper()
		until, known, err := l.Retention(t.Context(), name)
		if err != nil || !known {
			t.Fatalf("got %v, %v", known, err)
		}
		return until
	}
	first := until()
	longer := first.Add(time.Hour)
	if err := l.Retain(t.Context(), name, longer); err != nil {
		t.Fatal(err)
	}
	if got := until(); !got.Equal(longer) {
		t.Errorf("extended: got %s, want %s", got, longer)
	}
	if err := l.Retain(t.Context(), name, first); err != nil {
		t.Errorf("a shorter time is no error: %v", err)
	}
	if got := until(); !got.Equal(longer) {
		t.Errorf("it was shortened to %s, want %s", got, longer)
	}
	err := l.Retain(t.Context(), storagetest.Document(storage.Pack, []byte("never")), longer)
	if !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("lock what is not there: got %v, want ErrNotFound", err)
	}
	if _, _, err := l.Retention(t.Context(), storagetest.Document(storage.Pack, []byte("never"))); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("lock of what is not there: got %v, want ErrNotFound", err)
	}
}

func TestLockWhereThereIsNone(t *testing.T) {
	settings := s3test.Shared(t).Settings(t)
	name := save(t, s3test.Open(t, settings), storage.Pack, "pack")
	settings.Lock = time.Hour
	s := s3test.Open(t, settings)
	for what, err := range map[string]error{
		"save":   s.Save(t.Context(), document, []byte("x")),
		"retain": s.Retain(t.Context(), name, time.Now().Add(time.Hour)),
	} {
		if !errors.Is(err, backup.ErrUnsupported) || !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), "EMRVAULT_S3_LOCK") {
			t.Errorf("%s: got %v, want a permanent error that names EMRVAULT_S3_LOCK", what, err)
		}
	}
	if until, known, err := s.Retention(t.Context(), name); err != nil || !known || !until.IsZero() {
		t.Errorf("retention: got %s, %v, %v; want known not to be locked", until, known, err)
	}
	settings.Bucket += "-new"
	s = s3test.Open(t, settings)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	save(t, s, storage.Pack, "in a bucket made with object lock")
}

// spelling lets a server answer as the standard spells it.
type spelling struct{ http.RoundTripper }

func (s spelling) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.RoundTripper.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet || !r.URL.Query().Has("retention") {
		return res, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(string(body), "ObjectLockRetention", "Retention")
	res.Body, res.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	return res, nil
}

func TestRetentionAsTheStandardSpellsIt(t *testing.T) {
	settings := s3test.Shared(t).Settings(t, s3test.Locking)
	settings.Lock = time.Hour
	plain := s3test.Open(t, settings)
	name := save(t, plain, storage.Pack, "pack")
	settings.Through = func(line http.RoundTripper) http.RoundTripper { return spelling{line} }
	proxy := s3test.NewProxy(t, settings.Endpoint)
	settings.Endpoint = proxy.URL()
	until, known, err := s3test.Open(t, settings).Retention(t.Context(), name)
	if err != nil || !known || time.Until(until) < 50*time.Minute || proxy.Requests(http.MethodHead) != 0 {
		t.Errorf("got %s, %v, %v after %d HEAD; want an hour and none", until, known, err, proxy.Requests(http.MethodHead))
	}
}
