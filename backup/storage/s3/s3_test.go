package s3_test

import (
	"os"
	"testing"
	"time"

	"emrvault/backup/storage"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(s3test.Main(m)) }

func TestStorage(t *testing.T) {
	server := s3test.Shared(t)
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, s *s3.Settings)
	}{
		{"in the bucket itself", func(*testing.T, *s3.Settings) {}},
		{"below a prefix", func(_ *testing.T, s *s3.Settings) { s.Prefix = "医院/第一 repository" }},
		{"region unknown", func(_ *testing.T, s *s3.Settings) { s.Region = "" }},
		{"conditional put", func(_ *testing.T, s *s3.Settings) { s.ConditionalPut = true }},
		{"in parts", func(_ *testing.T, s *s3.Settings) { s.PartSize = 5 << 20 }},
		{"checksums behind the bytes", func(_ *testing.T, s *s3.Settings) { s.TrailingHeaders = true }},
		{"through a proxy that does nothing", func(t *testing.T, s *s3.Settings) { s.Endpoint = s3test.NewProxy(t, s.Endpoint).URL() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if t.Parallel(); testing.Short() && tt.name != "below a prefix" {
				t.Skip("one way of opening a bucket does for -short; without it all are tried")
			}
			storagetest.Run(t, func(t *testing.T) storage.Storage {
				settings := server.Settings(t)
				tt.change(t, &settings)
				st, err := s3.Open(t.Context(), settings)
				if err != nil {
					t.Fatal(err)
				}
				return st
			})
		})
	}
	t.Run("versions and object lock", func(t *testing.T) {
		t.Parallel()
		storagetest.Run(t, func(t *testing.T) storage.Storage {
			settings := server.Settings(t, s3test.Locking)
			settings.Lock = time.Hour
			st, err := s3.Open(t.Context(), settings)
			if err != nil {
				t.Fatal(err)
			}
			return st
		})
	})
}

func TestOtherServer(t *testing.T) {
	s3test.Other(t)
	storagetest.Run(t, func(t *testing.T) storage.Storage {
		st, err := s3.Open(t.Context(), s3test.Other(t))
		if err != nil {
			t.Fatal(err)
		}
		return st
	})
}
