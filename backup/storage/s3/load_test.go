package s3_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

// boaster answers everything with a terabyte.
type boaster struct{}

func (boaster) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: 1 << 40,
		Header: http.Header{"Content-Length": {"1099511627776"}, "Last-Modified": {"Sun, 22 Nov 2026 03:00:00 GMT"}}, Body: io.NopCloser(zeros{}),
	}, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestNoRoomIsMadeForRubbish(t *testing.T) {
	st := s3test.Open(t, s3.Settings{
		Endpoint: "http://127.0.0.1:1", Bucket: "bucket", Region: s3test.Region, AccessKey: "key", SecretKey: "secret",
		Through: func(http.RoundTripper) http.RoundTripper { return boaster{} },
	})
	if _, err := st.Load(t.Context(), storagetest.Document(storage.Pack, nil), nil, 0, -1); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("got %v, want a terabyte refused", err)
	}
}
