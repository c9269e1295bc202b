package certificate

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"emrvault/appliance/durable"
)

// Names of the files, and with them the purposes their keys are sealed for.
const (
	authorityName = "ca"
	leafName      = "page"
)

// ensureAuthority reads the authority, or makes one when there is none that
// still serves. One that cannot be read is replaced too: the page must come
// up, and the log says why browsers ask again.
func (a *Authority) ensureAuthority() error {
	cert, key, err := a.read(authorityName)
	switch {
	case err == nil && !stale(cert, a.now()) && covers(cert, a.hosts):
		a.ca, a.key = cert, key
		return nil
	case err == nil:
		slog.Warn("new certificate authority: the old one ends soon or does not cover the box's names", "hosts", a.hosts)
	case !errors.Is(err, fs.ErrNotExist):
		slog.Error("new certificate authority: the old one cannot be used", "error", err)
	}
	a.ca, a.key, err = issueAuthority(a.hosts, a.now())
	if err != nil {
		return err
	}
	return a.write(authorityName, a.ca, a.key)
}

// ensureLeaf reads the leaf, or makes one when there is none that still serves.
func (a *Authority) ensureLeaf() error {
	cert, key, err := a.read(leafName)
	if err == nil && !stale(cert, a.now()) && cert.CheckSignatureFrom(a.ca) == nil && names(cert, a.hosts) {
		a.leaf = pair(cert, a.ca, key)
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.Error("new page certificate: the old one cannot be used", "error", err)
	}
	return a.renew()
}

// renew makes a new leaf and keeps it.
func (a *Authority) renew() error {
	leaf, err := issueLeaf(a.ca, a.key, a.hosts, a.now())
	if err != nil {
		return err
	}
	if err := a.write(leafName, leaf.Leaf, leaf.PrivateKey.(*ecdsa.PrivateKey)); err != nil {
		return err
	}
	a.leaf = leaf
	return nil
}

// names says whether the leaf is for exactly these hosts.
func names(cert *x509.Certificate, hosts []string) bool {
	has := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		has = append(has, ip.String())
	}
	return slices.Equal(tidy(has), hosts)
}

func (a *Authority) write(name string, cert *x509.Certificate, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("keep key of certificate %s: %w", name, err)
	}
	sealed, err := a.box.Seal(purpose(name), der)
	if err != nil {
		return err
	}
	// The key first: a certificate without its key is of no use, and a key
	// that does not fit the certificate beside it is found when they are read.
	if err := durable.WriteFile(a.keyPath(name), []byte(sealed+"\n"), 0o600); err != nil {
		return err
	}
	return durable.WriteFile(Path(a.dir, name), encode("CERTIFICATE", cert.Raw), 0o644)
}

func (a *Authority) read(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	cert, err := readCertificate(Path(a.dir, name))
	if err != nil {
		return nil, nil, err
	}
	sealed, err := os.ReadFile(a.keyPath(name))
	if err != nil {
		return nil, nil, err
	}
	der, err := a.box.Unseal(purpose(name), string(trimmed(sealed)))
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, nil, fmt.Errorf("read key of certificate %s: %w", name, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("certificate %s and its key do not belong together", name)
	}
	return cert, key, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return cert, nil
}

// Path names the file of a certificate in dir: "ca" or "page".
func Path(dir, name string) string { return filepath.Join(dir, name+".pem") }

func (a *Authority) keyPath(name string) string {
	return filepath.Join(a.dir, name+".key.sealed")
}

func purpose(name string) string { return "certificate/" + name + "/key" }

func trimmed(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
