package s3_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage/s3"
)

func TestParseLocation(t *testing.T) {
	tests := []struct{ location, endpoint, bucket, prefix string }{
		{"s3:http://127.0.0.1:9000/bucket", "http://127.0.0.1:9000", "bucket", ""},
		{"s3:https://s3.example.com/bucket/", "https://s3.example.com", "bucket", ""},
		{"s3:https://s3.example.com/bucket/emr/first", "https://s3.example.com", "bucket", "emr/first"},
		{"s3:https://s3.example.com/bucket/医院/", "https://s3.example.com", "bucket", "医院"},
		{"s3:HTTPS://s3.example.com/bucket", "https://s3.example.com", "bucket", ""},
		{"s3:http://[::1]:9000/bucket", "http://[::1]:9000", "bucket", ""},
	}
	for _, tt := range tests {
		endpoint, bucket, prefix, err := s3.ParseLocation(tt.location)
		if err != nil || endpoint != tt.endpoint || bucket != tt.bucket || prefix != tt.prefix {
			t.Errorf("%s: got %q, %q, %q, %v; want %q, %q, %q", tt.location, endpoint, bucket, prefix, err, tt.endpoint, tt.bucket, tt.prefix)
		}
	}
}

func TestParseLocationRefuses(t *testing.T) {
	for _, location := range []string{
		"", "s3:", "s3:host/bucket", "s3:http://host", "s3:http:///bucket", "s3:http://host/", "s3:http://host/B", "s3:http://host/..",
		"s3:ftp://host/bucket", "s3:http://host/bucket//x", "s3:http://host/bucket/../other", "s3:http://host/bucket/./x", "s3:http://:9000/bucket",
		"s3:http://user:hunter2@host/bucket", "s3:user:hunter2@host/bucket", "s3:https://user/hunter2@host/bucket", "s3:https://user:1/hunter2@host/bucket", "s3:http://host?x=1/bucket", "http://host/bucket", "s3:http://ho st/bucket",
	} {
		_, _, _, err := s3.ParseLocation(location)
		if !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", location, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error tells the password: %v", location, err)
		}
	}
}

// An address that begins with HTTPS must never be asked without TLS.
func TestOpenRefusesEndpointsInCapitals(t *testing.T) {
	settings := s3.Settings{Endpoint: "HTTPS://s3.example.com", Bucket: "bucket", AccessKey: "key", SecretKey: "secret"}
	if _, err := s3.Open(t.Context(), settings); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func FuzzParseLocation(f *testing.F) {
	f.Add("s3:http://127.0.0.1:9000/bucket/a/b")
	f.Add("s3:https://u:p@host/bucket")
	f.Fuzz(func(t *testing.T, location string) {
		endpoint, bucket, prefix, err := s3.ParseLocation(location)
		if err != nil {
			return
		}
		again := s3.Settings{Endpoint: endpoint, Bucket: bucket, Prefix: prefix}.Location()
		e, b, p, err := s3.ParseLocation(again)
		if err != nil || e != endpoint || b != bucket || p != prefix {
			t.Errorf("%q became %q, and that %q %q %q, %v", location, again, e, b, p, err)
		}
	})
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

const place = "s3:https://s3.example.com/bucket/emr"

func TestFromEnvironment(t *testing.T) {
	s, err := s3.FromEnvironment(place, environment("AWS_ACCESS_KEY_ID", "key", "AWS_SECRET_ACCESS_KEY", "hunter2", "AWS_SESSION_TOKEN", "token",
		"AWS_REGION", "cn-north-1", "EMRVAULT_S3_CA", "/ca.pem", "EMRVAULT_S3_PROXY", "http://proxy:3128", "EMRVAULT_S3_STYLE", "virtual", "EMRVAULT_S3_LOCK", "30d"))
	if err != nil {
		t.Fatal(err)
	}
	if s.AccessKey != "key" || s.SecretKey != "hunter2" || s.SessionToken != "token" || s.Region != "cn-north-1" || s.CAFile != "/ca.pem" ||
		s.Proxy != "http://proxy:3128" || s.Style != s3.Virtual || s.Lock != 30*24*time.Hour || s.Location() != place {
		t.Errorf("got %s, style %s, lock %s", s, s.Style, s.Lock)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(form, s); strings.Contains(text, "hunter2") || strings.Contains(text, "token") {
			t.Errorf("%s prints the secret: %s", form, text)
		}
	}
}

// What is missing or wrong is named, with the variable that would set it.
func TestOpenRefuses(t *testing.T) {
	tests := []struct{ name, variable, value, want string }{
		{"no access key", "AWS_ACCESS_KEY_ID", "", "AWS_ACCESS_KEY_ID"},
		{"no secret", "AWS_SECRET_ACCESS_KEY", "", "AWS_SECRET_ACCESS_KEY"},
		{"a strange style", "EMRVAULT_S3_STYLE", "modern", "EMRVAULT_S3_STYLE"},
		{"no such authority", "EMRVAULT_S3_CA", "/nobody/has/this.pem", "EMRVAULT_S3_CA"},
		{"a strange proxy", "EMRVAULT_S3_PROXY", "hunter2:3128", "EMRVAULT_S3_PROXY"},
		{"a strange lock", "EMRVAULT_S3_LOCK", "soon", "EMRVAULT_S3_LOCK"},
		{"a negative lock", "EMRVAULT_S3_LOCK", "-5h", "EMRVAULT_S3_LOCK"},
		{"a lock for ever", "EMRVAULT_S3_LOCK", "60000d", "EMRVAULT_S3_LOCK"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := s3.FromEnvironment(place, environment(tt.variable, tt.value, "AWS_ACCESS_KEY_ID", "key", "AWS_SECRET_ACCESS_KEY", "hunter2"))
			if err == nil {
				_, err = s3.Open(t.Context(), s)
			}
			if !errors.Is(err, backup.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that names %s", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}
