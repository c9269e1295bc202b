//go:build linux

package restore_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"emrvault/backup/restore"
)

func readTar(data []byte) (names []string, err error) {
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return names, err
		}
		names = append(names, h.Name)
		if _, err := io.Copy(io.Discard, r); err != nil {
			return names, err
		}
	}
}

func readZip(data []byte) (*zip.Reader, error) {
	return zip.NewReader(bytes.NewReader(data), int64(len(data)))
}

// More entries than the first zip format can count, and Chinese names.
func TestLargeZip(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT TESTED: a zip of 65,546 entries takes seconds; run without -short")
	}
	t.Parallel()
	const entries = 1<<16 + 10
	repo := inMemory(t)
	var list strings.Builder
	for i := range entries {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(node(fmt.Sprintf("病历%06d", i), "file", `"size":0,"content":[]`))
	}
	sn := forge(t, repo, list.String())
	var out bytes.Buffer
	if err := restore.Zip(t.Context(), repo, sn, "/", &out); err != nil {
		t.Fatal(err)
	}
	z, err := readZip(out.Bytes())
	if err != nil || len(z.File) != entries {
		t.Fatalf("got %v, %v, want %d entries", len(z.File), err, entries)
	}
	const utf8Flag = 1 << 11
	if f := z.File[entries-1]; f.Name != fmt.Sprintf("病历%06d", entries-1) || f.Flags&utf8Flag == 0 {
		t.Errorf("got %q with flags %x, want the name marked as UTF-8", f.Name, f.Flags)
	}
}

// Names that Windows takes for the same must not be unpacked into one file.
func TestZipOfCapitalsAndOldTimes(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	old := strings.ReplaceAll(node("readme", "file", evil()), "2026-", "1950-")
	inside := node("README", "file", evil()) + "," + old
	sn := forge(t, repo, inside, node("A", "dir", `"content":null,"subtree":"%s"`)+","+node("a", "dir", `"content":null,"subtree":"%s"`))
	for _, tt := range []struct {
		of   string
		want []string
	}{
		{"/", []string{"A/", "A/README", "A/%72eadme", "%61/", "%61/README", "%61/%72eadme"}},
		{"/a", []string{"a/", "a/README", "a/%72eadme"}},
		{"/a/readme", []string{"a/readme"}},
	} {
		var out bytes.Buffer
		if err := restore.Zip(t.Context(), repo, sn, tt.of, &out); err != nil {
			t.Fatal(err)
		}
		z, err := readZip(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range z.File {
			got = append(got, f.Name)
			if y := f.Modified.Year(); y != 2026 && y != 1980 {
				t.Errorf("%s: got the year %d", f.Name, y)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.of, got, tt.want)
		}
	}
}

func TestTarOfSecondNames(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	twice := `"inode":7,"device_id":1,"links":2,` + evil()
	sn := forge(t, repo, node("a", "file", twice)+","+node("b", "file", twice)+","+node("c", "file", evil()))
	var out bytes.Buffer
	if err := restore.Tar(t.Context(), repo, sn, "/", &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %c %s", h.Name, h.Typeflag, h.Linkname))
	}
	if want := []string{"a 0 ", "b 1 a", "c 0 "}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTarOfLongNames(t *testing.T) {
	t.Parallel()
	repo := inMemory(t)
	long := strings.Repeat("长", 80)
	sn := forge(t, repo, node(long, "file", evil()), node(long, "dir", `"content":null,"subtree":"%s"`))
	var out bytes.Buffer
	if err := restore.Tar(t.Context(), repo, sn, "/", &out); err != nil {
		t.Fatal(err)
	}
	names, err := readTar(out.Bytes())
	if err != nil || len(names) != 2 || names[1] != long+"/"+long {
		t.Errorf("got %q, %v, want the long names", names, err)
	}
}
