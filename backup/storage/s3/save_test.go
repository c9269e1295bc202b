package s3_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

// noise is what no server can guess.
func noise(n int) []byte {
	data := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(data)
	return data
}

func TestParts(t *testing.T) {
	settings := s3test.Shared(t).Settings(t)
	settings.PartSize = 5 << 20
	proxy := s3test.NewProxy(t, settings.Endpoint)
	settings.Endpoint = proxy.URL()
	s := s3test.Open(t, settings)
	for _, n := range []int{5<<20 - 1, 5 << 20, 5<<20 + 1, 10 << 20, 12<<20 + 3} {
		data, puts := noise(n), proxy.Requests(http.MethodPut)
		name := storagetest.Document(storage.Pack, data)
		if err := s.Save(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		if got, want := proxy.Requests(http.MethodPut)-puts, (n+5<<20-1)/(5<<20); got != want {
			t.Errorf("%d bytes went up in %d parts, want %d", n, got, want)
		}
		if got, err := s.Load(t.Context(), name, nil, 0, -1); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: got %d back, %v", n, len(got), err)
		}
		if got, err := s.Load(t.Context(), name, nil, int64(n)-7, 7); err != nil || !bytes.Equal(got, data[n-7:]) {
			t.Errorf("the end of %d bytes: got %x, %v", n, got, err)
		}
	}
}

// The hash in the signature is the server's reason to refuse other bytes.
func TestOtherBytesAreRefused(t *testing.T) {
	s := s3test.Open(t, s3test.Shared(t).Settings(t))
	if err := s.Save(t.Context(), document, []byte("y")); err == nil || errors.Is(err, storage.ErrPermanent) {
		t.Errorf("bytes of another name: got %v, want an error that passes", err)
	}
	if _, err := s.Stat(t.Context(), document); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("stat: got %v, want ErrNotFound", err)
	}
}

func TestPartsThatFailLeaveNothing(t *testing.T) {
	settings := s3test.Shared(t).Settings(t)
	settings.PartSize = 5 << 20
	proxy := s3test.NewProxy(t, settings.Endpoint)
	settings.Endpoint = proxy.URL()
	s := s3test.Open(t, settings)
	data := noise(12 << 20)
	name := storagetest.Document(storage.Pack, data)
	for what, rule := range map[string]s3test.Rule{
		"a part":  {Fault: s3test.Torn, Method: http.MethodPut, Path: "partNumber=2", Times: 1},
		"the end": {Fault: s3test.Cut, Method: http.MethodPost, Path: "uploadId", Times: 1},
	} {
		proxy.Program(rule)
		if err := s.Save(t.Context(), name, data); err == nil {
			t.Fatalf("%s: no error", what)
		}
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("%s: stat: got %v, want ErrNotFound", what, err)
		}
		if n, err := s.Sweep(t.Context(), -time.Hour); err != nil || n != 0 {
			t.Errorf("%s: %d uploads were left, %v", what, n, err)
		}
	}
}

func TestSweep(t *testing.T) {
	settings := s3test.Shared(t).Settings(t)
	settings.Prefix = "emr"
	s := s3test.Open(t, settings)
	client := minio.Core{Client: s3test.Client(t, settings)}
	name := storagetest.Document(storage.Pack, []byte("x"))
	for _, key := range []string{"emr/" + name.Path(), "emr/config", "emr/somebody's own", "other/" + name.Path()} {
		if _, err := client.NewMultipartUpload(t.Context(), settings.Bucket, key, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Sweep(t.Context(), time.Hour); n != 0 || err != nil {
		t.Errorf("young uploads: got %d, %v; want none removed", n, err)
	}
	if n, err := s.Sweep(t.Context(), -time.Hour); n != 2 || err != nil {
		t.Errorf("got %d, %v; want our 2 removed", n, err)
	}
}

// Without a conditional put the loser of a race may not notice; with it there
// is one winner, always.
func TestTwoWriteTheConfig(t *testing.T) {
	server := s3test.Shared(t)
	for range 5 {
		settings := server.Settings(t)
		settings.ConditionalPut = true
		s, config := s3test.Open(t, settings), storage.Name{Kind: storage.Config}
		var wait sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wait.Go(func() { errs[i] = s.Save(context.Background(), config, []byte{byte(i)}) })
		}
		wait.Wait()
		got, err := s.Load(t.Context(), config, nil, 0, -1)
		if err != nil || len(got) != 1 {
			t.Fatalf("got %v, %v", got, err)
		}
		for i, err := range errs {
			if i == int(got[0]) && err != nil || i != int(got[0]) && !errors.Is(err, backup.ErrRepositoryExists) {
				t.Errorf("%d won, %d was told %v", got[0], i, err)
			}
		}
	}
}

func TestWritable(t *testing.T) {
	settings := s3test.Shared(t).Settings(t, s3test.Versions)
	proxy := s3test.NewProxy(t, settings.Endpoint)
	settings.Endpoint = proxy.URL()
	s := s3test.Open(t, settings)
	for range 3 {
		if err := s.Writable(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := proxy.Requests(""); n != 2 {
		t.Errorf("three questions took %d requests, want 2", n)
	}
	client := s3test.Client(t, settings)
	for object := range client.ListObjectsIter(t.Context(), settings.Bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		t.Errorf("left behind: %s (%v)", object.Key, object.Err)
	}

	proxy.Program(s3test.Rule{Fault: s3test.Cut, Method: http.MethodDelete, Times: 1})
	if err := s3test.Open(t, settings).Writable(t.Context()); err != nil {
		t.Errorf("the answer to the first removal was lost: got %v, want nil", err)
	}

	if err := scripted(t, http.StatusForbidden, "AccessDenied", "").Writable(t.Context()); !errors.Is(err, backup.ErrReadOnly) {
		t.Errorf("a key that may only read: got %v, want ErrReadOnly", err)
	}
	if err := scripted(t, http.StatusInsufficientStorage, "", "").Writable(t.Context()); err != nil {
		t.Errorf("a full place: got %v, want that the key may write", err)
	}
}
