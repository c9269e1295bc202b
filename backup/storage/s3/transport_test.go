package s3_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
)

// roundTrip saves a document and reads it again.
func roundTrip(t *testing.T, s *s3.Storage) {
	t.Helper()
	if err := s.Save(t.Context(), document, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(t.Context(), document, nil, 0, -1); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
}

// certificates makes an authority of our own and a server's certificate for
// 127.0.0.1, and tells the files: authority, certificate, key.
func certificates(t *testing.T) (authority, certificate, key string) {
	t.Helper()
	make := func(name string, template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, string, string) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if parent == nil {
			parent, parentKey = template, own
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &own.PublicKey, parentKey)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalECPrivateKey(own)
		if err != nil {
			t.Fatal(err)
		}
		made, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		files := [2]string{filepath.Join(t.TempDir(), name+".pem"), filepath.Join(t.TempDir(), name+".key")}
		for i, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "EC PRIVATE KEY", Bytes: private}} {
			if err := os.WriteFile(files[i], pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return made, own, files[0], files[1]
	}
	validity := func(c x509.Certificate) *x509.Certificate {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		return &c
	}
	ca, caKey, authority, _ := make("authority", validity(x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hospital"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}), nil, nil)
	_, _, certificate, key = make("server", validity(x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "s3"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
	}), ca, caKey)
	return authority, certificate, key
}

func TestOwnAuthority(t *testing.T) {
	authority, certificate, key := certificates(t)
	server := s3test.Start(t, "--cert", certificate, "--key", key)
	settings := s3.Settings{
		Endpoint: strings.Replace(server.Endpoint, "http:", "https:", 1), Bucket: "bucket", Region: s3test.Region,
		AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey, Proxy: "direct",
	}
	trusting, text := settings, settings
	trusting.CAFile = authority
	s := s3test.Open(t, trusting)
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, s)
	pem, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	text.CA = pem
	roundTrip(t, s3test.Open(t, text))

	other := trusting
	other.Endpoint = strings.Replace(other.Endpoint, "127.0.0.1", "localhost", 1)
	for _, tt := range []struct {
		name, says string
		settings   s3.Settings
	}{
		{"an authority nobody named", "EMRVAULT_S3_CA", settings},
		{"another name", "another name", other},
	} {
		err := s3test.Open(t, tt.settings).Save(t.Context(), document, []byte("x"))
		if !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want a permanent error with %q", tt.name, err, tt.says)
		}
	}
	settings = s3test.Shared(t).Settings(t)
	settings.Endpoint = strings.Replace(settings.Endpoint, "http:", "https:", 1)
	if err := s3test.Open(t, settings).Save(t.Context(), document, []byte("x")); !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), "http://") {
		t.Errorf("TLS where there is none: got %v", err)
	}
	bad := settings
	bad.CAFile = key
	if _, err := s3.Open(t.Context(), bad); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("an authority without a certificate: got %v, want ErrInvalid", err)
	}
}

// hosts notes which hosts requests through a proxy were for.
type hosts struct {
	sync.Mutex
	seen map[string]int
	next http.Handler
}

func (h *hosts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.Lock()
	h.seen[r.Host]++
	h.Unlock()
	h.next.ServeHTTP(w, r)
}

// Names that nobody resolves show that the proxy is used, and the style which
// of them are asked for.
func TestStylesThroughAProxy(t *testing.T) {
	const domain = "s3.hospital.test"
	server := s3test.Start(t, "--virtual-domain", domain)
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		style s3.Style
		host  string
	}{{s3.Path, domain}, {s3.Auto, domain}, {s3.Virtual, "bucket." + domain}} {
		t.Run(string(tt.style), func(t *testing.T) {
			through := &hosts{seen: map[string]int{}, next: s3test.NewProxy(t, target.String())}
			proxy := httptest.NewServer(through)
			defer proxy.Close()
			s := s3test.Open(t, s3.Settings{
				Endpoint: "http://" + domain, Bucket: "bucket", Region: s3test.Region, Style: tt.style,
				AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey, Proxy: proxy.URL,
			})
			if err := s.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			roundTrip(t, s)
			if through.seen[tt.host] < 2 {
				t.Errorf("requests went to %v, want %s", through.seen, tt.host)
			}
		})
	}
}

func TestProxyWithAPassword(t *testing.T) {
	var told string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if told = r.Header.Get("Proxy-Authorization"); told == "" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer proxy.Close()
	for _, scheme := range []string{"http", "https"} {
		err := s3test.Open(t, s3.Settings{
			Endpoint: scheme + "://s3.hospital.test", Bucket: "bucket", Region: "r", AccessKey: "k", SecretKey: "s", Proxy: proxy.URL,
		}).Save(t.Context(), document, []byte("x"))
		if !errors.Is(err, storage.ErrPermanent) || !strings.Contains(err.Error(), "EMRVAULT_S3_PROXY") {
			t.Errorf("%s: got %v, want a permanent error that names EMRVAULT_S3_PROXY", scheme, err)
		}
	}
	err := s3test.Open(t, s3.Settings{
		Endpoint: "http://s3.hospital.test", Bucket: "bucket", Region: "r", AccessKey: "k", SecretKey: "s", Proxy: strings.Replace(proxy.URL, "//", "//user:hunter2@", 1),
	}).Save(t.Context(), document, []byte("x"))
	if told == "" || err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the proxy was told %q, the error is %v", told, err)
	}
}
