// Package certificate gives the page its HTTPS without asking anybody outside.
//
// A hospital's network has no public certificate for a box in its server room,
// so the box makes a certificate authority of its own at the first start.
// People install the authority once in their browsers. Because they do, it is
// made harmless: critical name constraints let it sign for the box's own names
// and addresses and for nothing else, and its key is sealed with the box key.
// A browser that trusts it trusts this box and no more.
//
// In the folder lie ca.pem, ca.key.sealed, page.pem and page.key.sealed. The
// leaf lives 397 days and is renewed by itself when a third of its life is
// left. When the box gets a name or address the authority may not sign for, a
// new authority is made: that changes its fingerprint, and browsers ask again.
package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"emrvault/appliance/secret"
)

const (
	authorityLife = 3652 * 24 * time.Hour // ten years
	leafLife      = 397 * 24 * time.Hour  // the longest that browsers accept everywhere
	// backdate lets machines whose clocks are somewhat behind accept what we
	// made just now.
	backdate = 24 * time.Hour
)

// Authority is the box's certificate authority with its current leaf. It is
// safe for many goroutines.
type Authority struct {
	dir   string
	box   *secret.Box
	hosts []string
	now   func() time.Time

	mu     sync.Mutex
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
	leaf   *tls.Certificate
	failed time.Time // last renewal that failed, to try again an hour later
}

// Ensure reads the authority and leaf from dir, and makes what is missing, has
// run out or does not cover hosts (names and addresses, without ports).
func Ensure(ctx context.Context, dir string, box *secret.Box, hosts []string, now func() time.Time) (*Authority, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := &Authority{dir: dir, box: box, hosts: tidy(hosts), now: now}
	if err := a.ensureAuthority(); err != nil {
		return nil, err
	}
	if err := a.ensureLeaf(); err != nil {
		return nil, err
	}
	return a, nil
}

// tidy brings hosts to one form, sorts them and leaves out doubles. A name that
// no certificate can carry, as some Windows machines have, is left out and
// told: the box is then reached by its address.
func tidy(hosts []string) []string {
	clean := make([]string, 0, len(hosts))
	for _, host := range hosts {
		host = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(host), "."))
		if ip := net.ParseIP(host); ip != nil {
			host = ip.String()
		} else if !nameable(host) {
			slog.Warn("name left out of the certificate", "host", host)
			continue
		}
		clean = append(clean, host)
	}
	slices.Sort(clean)
	return slices.Compact(clean)
}

// nameable says whether a word can stand in a certificate as a DNS name.
func nameable(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return len(host) <= 253
}

// TLSConfig gives the server side of HTTPS. The leaf is looked at for each new
// connection, so a box that runs for years renews it while it runs.
func (a *Authority) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return a.current(), nil
		},
	}
}

// current gives the leaf, renewed when it is due. A renewal that fails is told
// in the log and tried again an hour later; the old leaf serves until it ends.
func (a *Authority) current() *tls.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if !stale(a.leaf.Leaf, now) || now.Sub(a.failed) < time.Hour {
		return a.leaf
	}
	if err := a.renew(); err != nil {
		a.failed = now
		slog.Error("certificate of the page could not be renewed", "error", err, "until", a.leaf.Leaf.NotAfter)
	}
	return a.leaf
}

// CAPEM is the certificate that people install in their browsers.
func (a *Authority) CAPEM() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return encode("CERTIFICATE", a.ca.Raw)
}

// Fingerprint is the SHA-256 of the authority in groups of two hex digits, to
// be compared by eye before it is trusted.
func (a *Authority) Fingerprint() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fingerprint(a.ca)
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	groups := make([]string, 0, len(sum))
	for i := 0; i < len(text); i += 2 {
		groups = append(groups, text[i:i+2])
	}
	return strings.Join(groups, ":")
}

// Dates tells until when the authority and the leaf are good.
func (a *Authority) Dates() (authority, leaf time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ca.NotAfter, a.leaf.Leaf.NotAfter
}

// State is what a folder of certificates holds.
type State struct {
	Fingerprint string    // of the authority
	Authority   time.Time // until when the authority is good
	Page        time.Time // until when the page's certificate is good
}

// Inspect looks at the certificates in dir without opening any key.
func Inspect(dir string) (State, error) {
	ca, err := readCertificate(Path(dir, authorityName))
	if err != nil {
		return State{}, err
	}
	leaf, err := readCertificate(Path(dir, leafName))
	if err != nil {
		return State{}, err
	}
	return State{Fingerprint: fingerprint(ca), Authority: ca.NotAfter, Page: leaf.NotAfter}, nil
}

// Hosts finds the names and addresses of this machine: localhost, its host
// name, and every address of its interfaces that is not temporary by nature.
// more are other names; of an address to listen on the host counts.
func Hosts(more ...string) ([]string, error) {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && name != "" {
		hosts = append(hosts, name)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("find addresses of this machine: %w", err)
	}
	for _, address := range addresses {
		network, ok := address.(*net.IPNet)
		if ok && network.IP.IsGlobalUnicast() {
			hosts = append(hosts, network.IP.String())
		}
	}
	for _, host := range more {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			continue
		}
		hosts = append(hosts, host)
	}
	return tidy(hosts), nil
}
