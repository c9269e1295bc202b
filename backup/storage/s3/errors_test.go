package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/probe"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

var document = storagetest.Document(storage.Pack, []byte("x"))

// scripted is a server that gives one answer to everything.
func scripted(t *testing.T, status int, code, more string) *s3.Storage {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Date", time.Now().Add(100*time.Minute).UTC().Format(http.TimeFormat))
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		if r.Method != http.MethodHead && code != "" {
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>said the server</Message>%s</Error>`, code, more)
		}
	}))
	t.Cleanup(server.Close)
	return s3test.Open(t, s3.Settings{Endpoint: server.URL, Bucket: "bucket", Region: "r", AccessKey: "k", SecretKey: "hunter2", Proxy: "direct"})
}

func TestErrorsOfTheServer(t *testing.T) {
	tests := []struct {
		status     int
		code, more string
		load, save error // what they wrap; nil: nothing in particular
		permanent  bool
		says       string
	}{
		{404, "NoSuchKey", "", backup.ErrNotFound, backup.ErrNotFound, false, ""},
		{404, "NoSuchBucket", "", backup.ErrNotFound, backup.ErrNotFound, true, "bucket"},
		{507, "", "", backup.ErrStorageFull, backup.ErrStorageFull, false, "quota"},
		{507, "XMinioStorageFull", "", backup.ErrStorageFull, backup.ErrStorageFull, false, "prune"},
		{403, "QuotaExceeded", "", backup.ErrStorageFull, backup.ErrStorageFull, false, ""},
		{400, "XMinioAdminBucketQuotaExceeded", "", backup.ErrStorageFull, backup.ErrStorageFull, false, ""},
		{403, "AccessDenied", "", storage.ErrPermanent, backup.ErrReadOnly, true, "policy"},
		{401, "", "", storage.ErrPermanent, backup.ErrReadOnly, true, "policy"},
		{403, "SignatureDoesNotMatch", "", storage.ErrPermanent, storage.ErrPermanent, true, "AWS_SECRET_ACCESS_KEY"},
		{403, "InvalidAccessKeyId", "", storage.ErrPermanent, storage.ErrPermanent, true, "AWS_ACCESS_KEY_ID"},
		{400, "ExpiredToken", "", storage.ErrPermanent, storage.ErrPermanent, true, "AWS_SESSION_TOKEN"},
		{403, "RequestTimeTooSkewed", "", storage.ErrPermanent, storage.ErrPermanent, true, "server's differ by 1h"},
		{400, "AuthorizationHeaderMalformed", "<Region>cn-north-1</Region>", storage.ErrPermanent, storage.ErrPermanent, true, "AWS_REGION to cn-north-1"},
		{301, "PermanentRedirect", "", storage.ErrPermanent, storage.ErrPermanent, true, "AWS_REGION"},
		{501, "NotImplemented", "", backup.ErrUnsupported, backup.ErrUnsupported, true, ""},
		{400, "InvalidArgument", "", storage.ErrPermanent, storage.ErrPermanent, true, "refuses"},
		{400, "XAmzContentSHA256Mismatch", "", nil, nil, false, ""},
		{400, "RequestTimeout", "", nil, nil, false, ""},
		{409, "OperationAborted", "", nil, nil, false, ""},
		{500, "InternalError", "", nil, nil, false, ""},
		{502, "", "", nil, nil, false, ""},
		{404, "SomethingElse", "", storage.ErrPermanent, storage.ErrPermanent, true, "refuses"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, tt.code), func(t *testing.T) {
			s := scripted(t, tt.status, tt.code, tt.more)
			_, load := s.Load(t.Context(), document, nil, 0, -1)
			save := s.Save(t.Context(), document, []byte("x"))
			for _, got := range []struct {
				what      string
				err, want error
			}{{"load", load, tt.load}, {"save", save, tt.save}} {
				if got.err == nil || got.want != nil && !errors.Is(got.err, got.want) {
					t.Errorf("%s: got %v, want %v", got.what, got.err, got.want)
					continue
				}
				if errors.Is(got.err, storage.ErrPermanent) != tt.permanent {
					t.Errorf("%s: got %v, want permanent %v", got.what, got.err, tt.permanent)
				}
				if strings.Contains(got.err.Error(), "hunter2") {
					t.Errorf("%s tells the secret: %v", got.what, got.err)
				}
			}
			if !strings.Contains(load.Error()+save.Error(), tt.says) {
				t.Errorf("got %v and %v, want the words %q", load, save, tt.says)
			}
		})
	}
}

// A page tells a refusal in another language than the log.
func TestReasonsOfRefusals(t *testing.T) {
	for code, want := range map[string]string{
		"SignatureDoesNotMatch": "wrong-secret", "InvalidAccessKeyId": "wrong-key", "ExpiredToken": "wrong-token",
		"RequestTimeTooSkewed": "wrong-clock", "PermanentRedirect": "wrong-region", "NoSuchBucket": "error",
	} {
		_, err := scripted(t, 400, code, "").Load(t.Context(), document, nil, 0, -1)
		if got := probe.Told(err).Key; got != want {
			t.Errorf("%s: got the reason %q, want %q (%v)", code, got, want, err)
		}
	}
}

func TestSlowDown(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
	}{{503, "SlowDown"}, {503, ""}, {429, ""}, {400, "RequestLimitExceeded"}} {
		err := scripted(t, tt.status, tt.code, "").Save(t.Context(), document, []byte("x"))
		var slow *storage.Throttled
		if !errors.As(err, &slow) || errors.Is(err, storage.ErrPermanent) {
			t.Errorf("%d %s: got %v, want Throttled", tt.status, tt.code, err)
			continue
		}
		if want := 7 * time.Second; tt.status != 400 && slow.After != want {
			t.Errorf("%d %s: got %s to wait, want %s", tt.status, tt.code, slow.After, want)
		}
	}
}

// The answer to HEAD has no body: the reason is asked for.
func TestWrongKeysAreToldWhateverIsAsked(t *testing.T) {
	server := s3test.Shared(t)
	for _, tt := range []struct {
		name, says string
		change     func(*s3.Settings)
	}{
		{"secret", "AWS_SECRET_ACCESS_KEY", func(s *s3.Settings) { s.SecretKey = "hunter2" }},
		{"key", "AWS_ACCESS_KEY_ID", func(s *s3.Settings) { s.AccessKey = "nobody" }},
		{"secret, region unknown", "AWS_SECRET_ACCESS_KEY", func(s *s3.Settings) { s.SecretKey, s.Region = "hunter2", "" }},
		{"region", "AWS_REGION", func(s *s3.Settings) { s.Region = "cn-north-1" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			settings := server.Settings(t)
			tt.change(&settings)
			s := s3test.Open(t, settings)
			begin := time.Now()
			_, stat := s.Stat(t.Context(), document)
			_, load := s.Load(t.Context(), document, nil, 0, -1)
			for what, err := range map[string]error{
				"stat": stat, "load": load, "save": s.Save(t.Context(), document, []byte("x")), "remove": s.Remove(t.Context(), document),
				"list":   s.List(t.Context(), storage.Key, func(storage.Info) error { return nil }),
				"create": s.Create(t.Context()), "writable": s.Writable(t.Context()),
			} {
				if !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), tt.says) || errors.Is(err, backup.ErrReadOnly) {
					t.Errorf("%s: got %v, want a permanent error that names %s", what, err, tt.says)
				}
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %s to say so", took)
			}
		})
	}
}

func TestMissingBucket(t *testing.T) {
	settings := s3test.Shared(t).Settings(t)
	settings.Bucket += "-not"
	s := s3test.Open(t, settings)
	_, err := s.Load(t.Context(), document, nil, 0, -1)
	if !errors.Is(err, backup.ErrNotFound) || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("load: got %v, want that the bucket does not exist", err)
	}
	if err := s.Save(t.Context(), storage.Name{Kind: storage.Config}, []byte("c")); !errors.Is(err, storage.ErrPermanent) {
		t.Errorf("save: got %v, want a permanent error", err)
	}
	if err := s.Create(t.Context()); err != nil {
		t.Errorf("create: %v", err)
	}
	if err := s.Save(t.Context(), document, []byte("x")); err != nil {
		t.Errorf("save after create: %v", err)
	}
}

// A server that falls silent must not hold us for ever, whenever it does.
func TestSilence(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	release := make(chan struct{})
	half := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
		w.(http.Flusher).Flush()
		<-release
	}))
	defer half.Close()
	defer close(release)
	for name, endpoint := range map[string]string{"no answer": "http://" + silent.Addr().String(), "no TLS": "https://" + silent.Addr().String(), "half an answer": half.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s3test.Open(t, s3.Settings{Endpoint: endpoint, Bucket: "bucket", Region: "r", AccessKey: "k", SecretKey: "s", Proxy: "direct", Timeout: 200 * time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := s.Load(ctx, document, nil, 0, -1)
			if err == nil || ctx.Err() != nil || errors.Is(err, storage.ErrPermanent) {
				t.Errorf("got %v, want a passing error long before the context ends", err)
			}
		})
	}
}

// A server that knows no ranges would give other bytes than asked for.
func TestServerWithoutRanges(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = w.Write([]byte("0123456789"))
	}))
	defer server.Close()
	s := s3test.Open(t, s3.Settings{Endpoint: server.URL, Bucket: "bucket", Region: "r", AccessKey: "k", SecretKey: "s", Proxy: "direct"})
	if got, err := s.Load(t.Context(), document, nil, 5, 5); !errors.Is(err, storage.ErrPermanent) {
		t.Errorf("got %q, %v; want it refused", got, err)
	}
}

// A key that may read and list is enough to restore, and says so when more is
// asked of it.
func TestKeyThatMayOnlyRead(t *testing.T) {
	server := s3test.Start(t, "--iam-dir", t.TempDir())
	settings := server.Settings(t)
	owner := s3test.Open(t, settings)
	if err := owner.Save(t.Context(), document, []byte("x")); err != nil {
		t.Fatal(err)
	}
	server.AddKey(t, "reader", "readers-secret")
	policy := fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["reader"]},
		"Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::%[1]s", "arn:aws:s3:::%[1]s/*"]}]}`, settings.Bucket)
	if err := s3test.Client(t, settings).SetBucketPolicy(t.Context(), settings.Bucket, policy); err != nil {
		t.Fatal(err)
	}
	settings.AccessKey, settings.SecretKey = "reader", "readers-secret"
	s := s3test.Open(t, settings)
	if got, err := s.Load(t.Context(), document, nil, 0, -1); err != nil || string(got) != "x" {
		t.Errorf("load: got %q, %v", got, err)
	}
	if got := list(t, s, storage.Pack); len(got) != 1 {
		t.Errorf("list: got %v", got)
	}
	for what, err := range map[string]error{
		"save": s.Save(t.Context(), document, []byte("x")), "remove": s.Remove(t.Context(), document), "writable": s.Writable(t.Context()),
	} {
		if !errors.Is(err, backup.ErrReadOnly) || !errors.Is(err, storage.ErrPermanent) {
			t.Errorf("%s: got %v, want ErrReadOnly for good", what, err)
		}
	}
}
