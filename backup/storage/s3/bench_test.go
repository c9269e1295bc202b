package s3_test

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"

	"emrvault/backup/storage"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
	"emrvault/backup/storage/storagetest"
)

// packSize is that of a usual pack.
const packSize = 16 << 20

func openForBench(b *testing.B) *s3.Storage {
	b.Helper()
	return s3test.Open(b, s3test.Shared(b).Settings(b))
}

// BenchmarkSave sends packs, four at a time; the server works on the same
// machine, so its time is counted too.
func BenchmarkSave(b *testing.B) {
	s, next := openForBench(b), atomic.Uint64{}
	b.SetBytes(packSize)
	b.SetParallelism(2)
	b.RunParallel(func(pb *testing.PB) {
		data := noise(packSize)
		for pb.Next() {
			binary.LittleEndian.PutUint64(data, next.Add(1))
			if err := s.Save(context.Background(), storagetest.Document(storage.Pack, data), data); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkLoad fetches packs, four at a time.
func BenchmarkLoad(b *testing.B) {
	s, data := openForBench(b), noise(packSize)
	name := storagetest.Document(storage.Pack, data)
	if err := s.Save(b.Context(), name, data); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(packSize)
	b.SetParallelism(2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 0, packSize)
		for pb.Next() {
			if _, err := s.Load(context.Background(), name, buf, 0, -1); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
