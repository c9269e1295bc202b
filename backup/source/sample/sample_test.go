package sample

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

var evening = time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)

func TestTry(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "emr")
	began := time.Now()
	c, err := Create(t.Context(), dir, Options{Now: evening, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v in %v", c, time.Since(began))
	enc, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	var raw, comp, n [4]int64
	filepath.Walk(dir, func(p string, i os.FileInfo, err error) error {
		if i.IsDir() {
			return nil
		}
		k := 0
		switch filepath.Ext(p) {
		case ".xml":
			k = 1
		case ".jpg":
			k = 2
		case ".db":
			k = 3
		}
		data, _ := os.ReadFile(p)
		n[k]++
		for len(data) > 0 {
			m := min(len(data), 1<<20)
			raw[k] += int64(m)
			comp[k] += int64(len(enc.EncodeAll(data[:m], nil)))
			data = data[m:]
		}
		return nil
	})
	t.Log(n, raw, comp)
}
