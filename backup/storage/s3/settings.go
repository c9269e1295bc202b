package s3

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"emrvault/backup"
)

// Style says where the name of the bucket stands in an address.
type Style string

// The styles of addressing a bucket.
const (
	Auto    Style = "auto"    // virtual at the large clouds, path elsewhere
	Path    Style = "path"    // https://host/bucket/name
	Virtual Style = "virtual" // https://bucket.host/name
)

// Settings say which bucket, with which key, and what its server can do.
type Settings struct {
	Endpoint string // "http(s)://host[:port]"
	Bucket   string
	Prefix   string // folder in the bucket, without slashes at its ends; empty: the bucket itself
	Region   string // empty: the server is asked once

	AccessKey    string
	SecretKey    string
	SessionToken string // only with keys that were lent for a while

	Style  Style  // empty: Auto
	CAFile string // PEM file of a private authority; empty: the system's only
	CA     []byte // the same as text; added to CAFile
	Proxy  string // URL of an HTTP proxy; empty: HTTP_PROXY and HTTPS_PROXY as usual; "direct": none

	PartSize        int64         // larger documents go up in parts; zero: 64 MiB
	Lock            time.Duration // how long documents are locked against deletion (object lock); zero: not at all
	TrailingHeaders bool          // checksums after the body; many servers get them wrong
	ConditionalPut  bool          // the server honours If-None-Match, so two can never both write the config
	Timeout         time.Duration // the longest silence of the server that is waited for; zero: a minute

	// Through, if set, stands between the requests and the line, to pace them.
	Through func(http.RoundTripper) http.RoundTripper
}

const (
	defaultPartSize = 64 << 20
	minPartSize     = 5 << 20 // S3 refuses smaller parts
	defaultTimeout  = time.Minute
)

// Location is the place as a person writes it down.
func (s Settings) Location() string {
	location := "s3:" + s.Endpoint + "/" + s.Bucket
	if s.Prefix != "" {
		location += "/" + s.Prefix
	}
	return location
}

// String is the location: settings may be printed, their secrets not.
func (s Settings) String() string { return s.Location() }

// GoString is the location, for the same reason.
func (s Settings) GoString() string { return s.Location() }

// complete fills in what was left out and refuses what cannot work.
func (s Settings) complete() (Settings, error) {
	if s.Style == "" {
		s.Style = Auto
	}
	if s.PartSize == 0 {
		s.PartSize = defaultPartSize
	}
	if s.Timeout == 0 {
		s.Timeout = defaultTimeout
	}
	return s, s.check()
}

func (s Settings) check() error {
	if err := checkPlace(s.Endpoint, s.Bucket, s.Prefix); err != nil {
		return err
	}
	switch {
	case s.AccessKey == "":
		return invalid("%s needs an access key: set AWS_ACCESS_KEY_ID", s.Location())
	case s.SecretKey == "":
		return invalid("%s needs a secret key: set AWS_SECRET_ACCESS_KEY", s.Location())
	case s.Style != Auto && s.Style != Path && s.Style != Virtual:
		return invalid("%q is no way to address a bucket: EMRVAULT_S3_STYLE is auto, path or virtual", s.Style)
	case s.PartSize < minPartSize:
		return invalid("parts of %d bytes are too small: S3 wants at least %d", s.PartSize, minPartSize)
	case s.Lock < 0 || s.Timeout < 0:
		return invalid("a lock or a timeout cannot be negative")
	}
	return nil
}

// checkPlace judges what stands in a location.
func checkPlace(endpoint, bucket, prefix string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return invalid("an S3 server is named as http(s)://host[:port]")
	case u.User != nil:
		return keyInAddress()
	case !strings.HasPrefix(endpoint, "http://") && !strings.HasPrefix(endpoint, "https://") || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return invalid("%q is no S3 server: it is named as http(s)://host[:port]", endpoint)
	}
	if err := s3utils.CheckValidBucketName(bucket); err != nil {
		return fmt.Errorf("bucket %q: %w: %w", bucket, backup.ErrInvalid, err)
	}
	if err := s3utils.CheckValidObjectNamePrefix(prefix); err != nil {
		return fmt.Errorf("prefix %q: %w: %w", prefix, backup.ErrInvalid, err)
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if prefix != "" && (part == "" || part == "." || part == "..") {
			return invalid("prefix %q: it is made of names with single slashes between them", prefix)
		}
	}
	return nil
}

func keyInAddress() error {
	return invalid("keys do not belong into the address of an S3 server: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
}

func invalid(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, backup.ErrInvalid)...)
}

func (s Settings) secure() bool { return strings.HasPrefix(s.Endpoint, "https://") }

func (s Settings) lookup() minio.BucketLookupType {
	switch s.Style {
	case Path:
		return minio.BucketLookupPath
	case Virtual:
		return minio.BucketLookupDNS
	}
	return minio.BucketLookupAuto
}

// trust is what certificates are judged by: the system's authorities and the
// house's own.
func (s Settings) trust() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	own := s.CA
	if s.CAFile != "" {
		file, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("certificate authority (EMRVAULT_S3_CA): %w: %w", backup.ErrInvalid, err)
		}
		own = append(append(file, '\n'), own...)
	}
	if len(own) == 0 {
		return config, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // A system without authorities: then ours is the only one.
	}
	if !pool.AppendCertsFromPEM(own) {
		return nil, invalid("the certificate authority (EMRVAULT_S3_CA) holds no certificate in PEM form")
	}
	config.RootCAs = pool
	return config, nil
}
