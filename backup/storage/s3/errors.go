package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/backup"
	"emrvault/backup/storage"
)

// meaning is what an answer of the server tells us, whatever its wording.
type meaning int

const (
	passing        meaning = iota // the same call may succeed later
	absent                        // the document is not there
	noBucket                      // the bucket is not there
	full                          // no room left, or none left to us
	slower                        // too many requests
	wrongSecret                   // the signature was made with another secret
	wrongKey                      // an access key nobody knows
	wrongToken                    // a lent key has come to its end
	wrongClock                    // the clocks differ too much
	wrongRegion                   // the bucket lives elsewhere
	denied                        // this key may not do that
	unsupported                   // this server cannot do that
	needsProxyWord                // it was the proxy that answered
	hopeless                      // any other answer that will not change
)

// meanings of the codes that servers put into their errors. Some say with a
// status of 400 that the body was damaged on its way, which is worth another
// try, so codes come before statuses.
var meanings = map[string]meaning{
	"NoSuchKey": absent, "NoSuchVersion": absent, "NoSuchBucket": noBucket,

	"QuotaExceeded": full, "XMinioStorageFull": full, "InsufficientStorage": full, "XMinioAdminBucketQuotaExceeded": full,
	"StorageQuotaExceeded": full, "InsufficientCapacity": full,

	"SlowDown": slower, "SlowDownRead": slower, "SlowDownWrite": slower, "Throttling": slower, "ThrottlingException": slower,
	"RequestLimitExceeded": slower, "RequestThrottled": slower, "TooManyRequests": slower, "ServiceUnavailable": slower,
	"BandwidthLimitExceeded": slower,

	"SignatureDoesNotMatch": wrongSecret, "InvalidAccessKeyId": wrongKey, "XAdminUserNotFound": wrongKey,
	"ExpiredToken": wrongToken, "ExpiredTokenException": wrongToken, "InvalidToken": wrongToken, "TokenRefreshRequired": wrongToken,
	"RequestTimeTooSkewed": wrongClock, "RequestExpired": wrongClock,
	"AuthorizationHeaderMalformed": wrongRegion, "InvalidRegion": wrongRegion, "PermanentRedirect": wrongRegion,
	"IllegalLocationConstraintException": wrongRegion,

	"AccessDenied": denied, "AllAccessDisabled": denied, "AccountProblem": denied,
	"NotImplemented": unsupported, "MethodNotAllowed": unsupported,

	"BadDigest": passing, "InvalidDigest": passing, "XAmzContentSHA256Mismatch": passing, "XAmzContentChecksumMismatch": passing,
	"IncompleteBody": passing, "RequestTimeout": passing, "OperationAborted": passing, "ConditionalRequestConflict": passing,
	"InternalError": passing, "NoSuchUpload": passing,
}

func meaningOf(res minio.ErrorResponse) meaning {
	if m, known := meanings[res.Code]; known {
		return m
	}
	switch status := res.StatusCode; {
	case status == http.StatusInsufficientStorage:
		return full
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return slower
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return denied
	case status == http.StatusProxyAuthRequired:
		return needsProxyWord
	case status == http.StatusNotImplemented, status == http.StatusMethodNotAllowed:
		return unsupported
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == 499, status >= 500, status < 300:
		return passing
	}
	return hopeless
}

// told names what was being done and says in our words what the server means,
// with the next step where a person has to take one.
func (s *Storage) told(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	var res minio.ErrorResponse
	if !errors.As(err, &res) {
		return s.unreached(what, err)
	}
	switch meaningOf(res) {
	case absent:
		return fmt.Errorf("%s: %w: %w", what, backup.ErrNotFound, err)
	case noBucket:
		return fmt.Errorf("%s: the bucket %s does not exist: %w: %w: %w", what, s.settings.Bucket, backup.ErrNotFound, storage.ErrPermanent, err)
	case full:
		return fmt.Errorf("%s: %w: add space or raise the quota, or expire and prune recovery points: %w", what, backup.ErrStorageFull, err)
	case slower:
		return fmt.Errorf("%s: %w", what, &storage.Throttled{After: time.Duration(s.listener.after.Swap(0)), Err: err})
	case denied:
		return forGood(what, "denied", "the key may not do that; its policy must allow reading, writing, listing and deleting in bucket "+s.settings.Bucket, err)
	case unsupported:
		return fmt.Errorf("%s: the server cannot do that: %w: %w: %w", what, backup.ErrUnsupported, storage.ErrPermanent, err)
	case needsProxyWord:
		return forGood(what, "proxy-word", proxyAdvice, err)
	case passing:
		return fmt.Errorf("%s: %w", what, err)
	}
	return forGood(what, reasons[meaningOf(res)], s.advice(res), err)
}

// reasons name, for texts in other languages, what advice tells.
var reasons = map[meaning]string{
	wrongSecret: "wrong-secret", wrongKey: "wrong-key", wrongToken: "wrong-token", wrongRegion: "wrong-region", wrongClock: "wrong-clock",
}

// advice is the next step after an answer that will not change by itself.
func (s *Storage) advice(res minio.ErrorResponse) string {
	switch meaningOf(res) {
	case wrongSecret:
		return "the secret key does not belong to the access key; check AWS_SECRET_ACCESS_KEY"
	case wrongKey:
		return "the server does not know the access key; check AWS_ACCESS_KEY_ID"
	case wrongToken:
		return "the lent key has ended; get a new one and its AWS_SESSION_TOKEN"
	case wrongRegion:
		if res.Region != "" {
			return "the bucket lives in another region; set AWS_REGION to " + res.Region
		}
		return "the bucket lives in another region; set AWS_REGION"
	case wrongClock:
		if skew, known := s.Skew(); known {
			return fmt.Sprintf("this machine's clock and the server's differ by %s; set the clock right", skew.Abs().Round(time.Second))
		}
		return "this machine's clock and the server's differ too much; set the clock right"
	}
	return "the server refuses"
}

func forGood(what, reason, advice string, err error) error {
	return &refusal{fmt.Errorf("%s: %s: %w: %w", what, advice, storage.ErrPermanent, err), reason}
}

// refusal is an answer that will not change by itself. A probe asks for its
// reason, to tell it in a person's language.
type refusal struct {
	error
	reason string // may be empty
}

// Reason names why.
func (r *refusal) Reason() string { return r.reason }

// Unwrap gives what was met.
func (r *refusal) Unwrap() error { return r.error }

const proxyAdvice = "the proxy wants a name and a password; put them into EMRVAULT_S3_PROXY"

// unreached tells why there was no answer at all. Most reasons pass; those
// that do not are named with the next step.
func (s *Storage) unreached(what string, err error) error {
	var (
		unknown x509.UnknownAuthorityError
		other   x509.HostnameError
		invalid x509.CertificateInvalidError
		noTLS   tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return forGood(what, "authority", "nobody we trust vouches for the server's certificate; name its authority in EMRVAULT_S3_CA", err)
	case errors.As(err, &other):
		return forGood(what, "name", "the server's certificate is made out to another name; use the name it was made for", err)
	case errors.As(err, &invalid):
		return forGood(what, "certificate", "the server's certificate is not valid; renew it, or set this machine's clock right", err)
	case errors.As(err, &noTLS), errors.Is(err, http.ErrSchemeMismatch):
		return forGood(what, "no-tls", "the server does not speak TLS there; use http:// or another port", err)
	case strings.Contains(err.Error(), http.StatusText(http.StatusProxyAuthRequired)):
		return forGood(what, "proxy-word", proxyAdvice, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// written is told for what changes the place: there a missing right means that
// the place is read-only for us.
func (s *Storage) written(ctx context.Context, what string, err error) error {
	var res minio.ErrorResponse
	if errors.As(err, &res) && meaningOf(res) == denied && ctx.Err() == nil {
		return fmt.Errorf("%s: %w for this key (its policy, or the bucket's): %w: %w", what, backup.ErrReadOnly, storage.ErrPermanent, err)
	}
	return s.told(ctx, what, err)
}

// why asks again where the answer to HEAD, which has no body, could not say
// more than "no": a wrong secret must not look like a missing right, nor an
// unknown key, to which there are servers that answer 404, like a missing
// document.
func (s *Storage) why(ctx context.Context, err error) error {
	var res minio.ErrorResponse
	if !errors.As(err, &res) || res.StatusCode < 400 || res.StatusCode >= 500 {
		return err
	}
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	for object := range s.core.ListObjectsIter(listing, s.settings.Bucket, minio.ListObjectsOptions{Prefix: s.folder(), MaxKeys: 1}) {
		if errors.As(object.Err, &res) && meaningOf(res) != denied {
			return object.Err
		}
		break
	}
	return err
}
