package repository

import (
	"bytes"
	"testing"

	"emrvault/backup/repository/blob"
)

// Large blobs are verified piece by piece, and every fault is noticed.
func TestProvesFrame(t *testing.T) {
	c, err := newCodec(CompressFastest, 1)
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Repeat([]byte("a million records of patients, "), 200_000)
	w := &Writer{repo: &Repository{settings: settings{verify: VerifyFull}}}
	j := w.newJob(blob.Tree, plain)
	frame := c.compress(nil, plain)
	changed := bytes.Clone(plain)
	changed[len(changed)/2] ^= 1
	for _, hashed := range []bool{false, true} {
		for name, tt := range map[string]struct {
			frame []byte
			want  bool
		}{
			"as it was": {frame, true},
			"cut":       {frame[:len(frame)-3], false},
			"changed":   {c.compress(nil, changed), false},
			"longer":    {c.compress(nil, append(bytes.Clone(plain), 'x')), false},
			"shorter":   {c.compress(nil, plain[1:]), false},
			"no frame":  {plain[:1000], false},
			"nothing":   {nil, false},
		} {
			if got := j.provesFrame(tt.frame, hashed); got != tt.want {
				t.Errorf("%s, hashed %v: got %v, want %v", name, hashed, got, tt.want)
			}
		}
	}
}
