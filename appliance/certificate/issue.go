package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"slices"
	"time"
)

// issueAuthority makes a certificate authority that may sign for hosts only.
func issueAuthority(hosts []string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make authority key: %w", err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{
			Organization: []string{"emrvault"},
			CommonName:   "emrvault " + now.UTC().Format("2006-01-02"),
		},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	constrain(template, hosts)
	cert, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make authority: %w", err)
	}
	return cert, key, nil
}

// constrain permits exactly the hosts (RFC 5280 section 4.2.1.10). A kind of
// name that is not mentioned would be unlimited, so where the box has none of
// a kind, one that nobody has stands in: a reserved name, or no address at all
// by excluding them all. A DNS constraint also permits the names below it.
// Mail addresses need no constraint: the authority signs for servers only.
func constrain(template *x509.Certificate, hosts []string) {
	names, addresses := split(hosts)
	template.PermittedDNSDomainsCritical = true
	template.PermittedDNSDomains = names
	if len(names) == 0 {
		template.PermittedDNSDomains = []string{"emrvault.invalid"}
	}
	four, six := false, false
	for _, ip := range addresses {
		template.PermittedIPRanges = append(template.PermittedIPRanges, alone(ip))
		four, six = four || ip.To4() != nil, six || ip.To4() == nil
	}
	if !four {
		template.ExcludedIPRanges = append(template.ExcludedIPRanges, &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)})
	}
	if !six {
		template.ExcludedIPRanges = append(template.ExcludedIPRanges, &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)})
	}
}

// alone gives the range that holds one address.
func alone(ip net.IP) *net.IPNet {
	if four := ip.To4(); four != nil {
		return &net.IPNet{IP: four, Mask: net.CIDRMask(32, 32)}
	}
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)}
}

func split(hosts []string) (names []string, addresses []net.IP) {
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			addresses = append(addresses, ip)
		} else {
			names = append(names, host)
		}
	}
	return names, addresses
}

// covers says whether the authority may sign for every host.
func covers(ca *x509.Certificate, hosts []string) bool {
	names, addresses := split(hosts)
	for _, name := range names {
		if !slices.Contains(ca.PermittedDNSDomains, name) {
			return false
		}
	}
	for _, ip := range addresses {
		permitted := false
		for _, network := range ca.PermittedIPRanges {
			permitted = permitted || network.Contains(ip)
		}
		if !permitted {
			return false
		}
	}
	return true
}

// issueLeaf makes the certificate of the page, not longer than its authority.
func issueLeaf(ca *x509.Certificate, by *ecdsa.PrivateKey, hosts []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make page key: %w", err)
	}
	names, addresses := split(hosts)
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"emrvault"}, CommonName: "emrvault page"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              earlier(now.Add(leafLife-backdate), ca.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              names,
		IPAddresses:           addresses,
	}
	cert, err := sign(template, ca, &key.PublicKey, by)
	if err != nil {
		return nil, fmt.Errorf("make page certificate: %w", err)
	}
	return pair(cert, ca, key), nil
}

// pair joins what TLS needs to serve: the leaf, its authority, its key.
func pair(leaf, ca *x509.Certificate, key *ecdsa.PrivateKey) *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.Raw}, PrivateKey: key, Leaf: leaf}
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	// No serial number is given: the library draws a random one of 20 bytes.
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// stale says whether less than a third of a certificate's life is left, or its
// life has not begun (the clock was set back).
func stale(cert *x509.Certificate, now time.Time) bool {
	life := cert.NotAfter.Sub(cert.NotBefore)
	return now.After(cert.NotAfter.Add(-life/3)) || now.Before(cert.NotBefore)
}
