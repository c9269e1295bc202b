package s3

import (
	"strconv"
	"strings"
	"time"
)

// ParseLocation takes "s3:http(s)://host[:port]/bucket[/prefix]" apart.
func ParseLocation(location string) (endpoint, bucket, prefix string, err error) {
	rest, isS3 := strings.CutPrefix(location, "s3:")
	scheme, rest, hasScheme := strings.Cut(rest, "://")
	host, rest, hasBucket := strings.Cut(rest, "/")
	if !isS3 || !hasScheme || !hasBucket {
		if strings.Contains(location, "@") {
			location = "this" // it may hold a password
		}
		return "", "", "", invalid("%s is no S3 location: it is s3:http(s)://host[:port]/bucket[/prefix]", location)
	}
	endpoint = strings.ToLower(scheme) + "://" + host
	bucket, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/")
	if strings.Contains(bucket, "@") { // A key was written before the host, and a slash in it has torn it apart.
		return "", "", "", keyInAddress()
	}
	if err := checkPlace(endpoint, bucket, prefix); err != nil {
		return "", "", "", err
	}
	return endpoint, bucket, prefix, nil
}

// FromEnvironment makes settings of a location and the variables that getenv
// knows:
//
//	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY   the key, both needed
//	AWS_SESSION_TOKEN                          with keys that were lent
//	AWS_REGION                                 else the server is asked
//	EMRVAULT_S3_CA                             PEM file of a private authority
//	EMRVAULT_S3_PROXY                          URL of a proxy, or "direct"
//	EMRVAULT_S3_STYLE                          auto, path or virtual
//	EMRVAULT_S3_LOCK                           object lock, like 30d or 720h
func FromEnvironment(location string, getenv func(string) string) (Settings, error) {
	endpoint, bucket, prefix, err := ParseLocation(location)
	if err != nil {
		return Settings{}, err
	}
	s := Settings{
		Endpoint: endpoint, Bucket: bucket, Prefix: prefix,
		Region:       getenv("AWS_REGION"),
		AccessKey:    getenv("AWS_ACCESS_KEY_ID"),
		SecretKey:    getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: getenv("AWS_SESSION_TOKEN"),
		CAFile:       getenv("EMRVAULT_S3_CA"),
		Proxy:        getenv("EMRVAULT_S3_PROXY"),
		Style:        Style(getenv("EMRVAULT_S3_STYLE")),
	}
	if s.Lock, err = parseLock(getenv("EMRVAULT_S3_LOCK")); err != nil {
		return Settings{}, err
	}
	return s, nil
}

const (
	day     = 24 * time.Hour
	maxLock = 100 * 365 * day // what is locked cannot be had back: a slip of the pen must not cost a disk
)

// parseLock reads "30d" or what Go takes for a duration; nothing means none.
func parseLock(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	lock, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		lock = time.Duration(n) * day
	}
	if err != nil || lock < 0 || lock > maxLock {
		return 0, invalid("EMRVAULT_S3_LOCK is %q: it is a time like 30d or 720h, at most %d days", text, maxLock/day)
	}
	return lock, nil
}
