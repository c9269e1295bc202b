package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/config"
	"emrvault/appliance/secret"
)

// today is the moment of these tests; TLS itself looks at the real clock only
// where a test dials.
var today = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newBox(t *testing.T) *secret.Box {
	t.Helper()
	layout := config.NewLayout(t.TempDir())
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	box, err := secret.Open(layout)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func ensure(t *testing.T, dir string, box *secret.Box, now func() time.Time, hosts ...string) *Authority {
	t.Helper()
	a, err := Ensure(t.Context(), dir, box, hosts, now)
	if err != nil {
		t.Fatalf("ensure certificates: %v", err)
	}
	return a
}

func TestBrowserThatTrustsTheAuthorityConnects(t *testing.T) {
	a := ensure(t, t.TempDir(), newBox(t), time.Now, "emr-box", "127.0.0.1", "::1")
	listener, err := tls.Listen("tcp", "127.0.0.1:0", a.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // the test is over
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello") // a client that refuses hears nothing
			_ = conn.Close()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.CAPEM())
	tests := []struct {
		name, server string
		roots        *x509.CertPool
		good         bool
	}{
		{"by address", "127.0.0.1", roots, true},
		{"by name", "emr-box", roots, true},
		{"by another name", "his-server", roots, false},
		{"without trust", "emr-box", x509.NewCertPool(), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: test.roots, ServerName: test.server})
			if (err == nil) != test.good {
				t.Fatalf("dial = %v, want success %v", err, test.good)
			}
			if err != nil {
				return
			}
			if said, err := io.ReadAll(conn); err != nil || string(said) != "hello" {
				t.Errorf("server said %q, %v", said, err)
			}
		})
	}
}

func TestStolenAuthorityIsHarmless(t *testing.T) {
	a := ensure(t, t.TempDir(), newBox(t), (&clock{today}).Now, "emr-box", "192.168.1.20")
	roots := x509.NewCertPool()
	roots.AddCert(a.ca)
	tests := []struct {
		host string
		good bool
	}{
		{"emr-box", true},
		{"192.168.1.20", true},
		{"www.bank.example", false},
		{"other-box", false},
		{"192.168.1.21", false},
		{"fe80::1", false},
	}
	for _, test := range tests {
		t.Run(test.host, func(t *testing.T) {
			leaf, err := issueLeaf(a.ca, a.key, []string{test.host}, today)
			if err != nil {
				t.Fatal(err)
			}
			_, err = leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: test.host, CurrentTime: today})
			var refused x509.CertificateInvalidError
			if test.good && err != nil || !test.good && (!errors.As(err, &refused) || refused.Reason != x509.CANotAuthorizedForThisName) {
				t.Errorf("a leaf for %s verifies as %v, want good %v", test.host, err, test.good)
			}
		})
	}
	if !a.ca.PermittedDNSDomainsCritical || !a.ca.MaxPathLenZero {
		t.Error("the constraints are not critical, or the authority may make others")
	}
}

func TestAuthorityAndLeafLast(t *testing.T) {
	dir, box, c := t.TempDir(), newBox(t), &clock{today}
	first := ensure(t, dir, box, c.Now, "emr-box", "10.0.0.1")
	ca, leaf := first.Dates()
	if ca.Sub(today) < 3650*24*time.Hour || leaf.Sub(first.leaf.Leaf.NotBefore) > leafLife {
		t.Errorf("authority lasts until %v, leaf until %v", ca, leaf)
	}
	tests := []struct {
		name             string
		later            time.Duration
		hosts            []string
		sameCA, sameLeaf bool
	}{
		{"next start", time.Hour, []string{"EMR-box.", "10.0.0.1"}, true, true},
		{"an address less", time.Hour, []string{"emr-box"}, true, false},
		{"when two thirds are over", 270 * 24 * time.Hour, []string{"emr-box", "10.0.0.1"}, true, false},
		{"an address more", time.Hour, []string{"emr-box", "10.0.0.1", "10.0.0.2"}, false, false},
		{"a name more", time.Hour, []string{"emr-box", "10.0.0.1", "box2"}, false, false},
		{"when the authority grows old", 8 * 365 * 24 * time.Hour, []string{"emr-box", "10.0.0.1"}, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			next := ensure(t, copied, box, (&clock{today.Add(test.later)}).Now, test.hosts...)
			if got := next.Fingerprint() == first.Fingerprint(); got != test.sameCA {
				t.Errorf("same authority = %v, want %v", got, test.sameCA)
			}
			if got := next.leaf.Leaf.Equal(first.leaf.Leaf); got != test.sameLeaf {
				t.Errorf("same leaf = %v, want %v", got, test.sameLeaf)
			}
		})
	}
}

func TestRunningBoxRenewsItsLeaf(t *testing.T) {
	dir, box, c := t.TempDir(), newBox(t), &clock{today}
	a := ensure(t, dir, box, c.Now, "emr-box")
	config := a.TLSConfig()
	before, err := config.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.now = today.Add(300 * 24 * time.Hour)
	after, err := config.GetCertificate(nil)
	if err != nil || after.Leaf.Equal(before.Leaf) || after.Leaf.NotAfter.Sub(c.now) < 300*24*time.Hour {
		t.Errorf("leaf after 300 days is good until %v (%v), want a new one", after.Leaf.NotAfter, err)
	}
	state, err := Inspect(dir)
	if err != nil || !state.Page.Equal(after.Leaf.NotAfter) || state.Fingerprint != a.Fingerprint() {
		t.Errorf("on disk lies %+v (%v), want the new leaf", state, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(300 * 24 * time.Hour)
	if kept, err := config.GetCertificate(nil); err != nil || !kept.Leaf.Equal(after.Leaf) {
		t.Errorf("a renewal that fails gives %v, want the leaf we have", err)
	}
}

func TestDamagedFilesAreReplaced(t *testing.T) {
	for _, name := range []string{"ca.pem", "ca.key.sealed", "page.pem", "page.key.sealed"} {
		t.Run(name, func(t *testing.T) {
			dir, box := t.TempDir(), newBox(t)
			ensure(t, dir, box, (&clock{today}).Now, "emr-box")
			if err := os.WriteFile(dir+"/"+name, []byte("damaged"), 0o600); err != nil {
				t.Fatal(err)
			}
			a := ensure(t, dir, box, (&clock{today}).Now, "emr-box")
			if err := a.leaf.Leaf.CheckSignatureFrom(a.ca); err != nil {
				t.Errorf("leaf and authority do not fit: %v", err)
			}
		})
	}
}

func TestKeysAreSealed(t *testing.T) {
	dir := t.TempDir()
	ensure(t, dir, newBox(t), (&clock{today}).Now, "emr-box")
	for _, name := range []string{"ca.key.sealed", "page.key.sealed"} {
		data, err := os.ReadFile(dir + "/" + name)
		if err != nil || bytes.Contains(data, []byte("PRIVATE KEY")) || !strings.HasPrefix(string(data), "sealed1.") {
			t.Errorf("%s is not sealed (%v)", name, err)
		}
	}
}

func TestHostsOfThisMachine(t *testing.T) {
	hosts, err := Hosts()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"localhost": false, "127.0.0.1": false, "::1": false}
	for _, host := range hosts {
		if _, ok := want[host]; ok {
			want[host] = true
		}
		if net.ParseIP(host) == nil && !nameable(host) {
			t.Errorf("%q cannot stand in a certificate", host)
		}
	}
	for host, found := range want {
		if !found {
			t.Errorf("hosts %v lack %s", hosts, host)
		}
	}
	if got := tidy([]string{"HIS_SERVER", "病历", "", "A.b.", "a.b", "2001:DB8::0"}); strings.Join(got, " ") != "2001:db8:: a.b" {
		t.Errorf("tidy = %v", got)
	}
}
