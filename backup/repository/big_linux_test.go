package repository

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
	"emrvault/backup/storage/local"
)

// bigBlobs is a repository of a terabyte in pieces of 128 KiB, or of 100 in
// pieces of 10 MiB.
const bigBlobs = 10_000_000

// TestTenMillionBlobs opens a repository of ten million blobs as a program of
// its own, and measures time and memory to the peak.
func TestTenMillionBlobs(t *testing.T) {
	if os.Getenv("EMRVAULT_BIG") == "" {
		t.Skip("makes an index of ten million blobs and takes a minute and a GiB: set EMRVAULT_BIG=1 to run it")
	}
	dir := t.TempDir()
	repo, cached := filepath.Join(dir, "repo"), filepath.Join(dir, "cache")
	makeBig(t, repo)
	for _, run := range []struct {
		name, cache, limit string
		seconds            float64
		mib                int
	}{
		{"from JSON, nothing kept", "", "", 30, 700},
		{"from JSON, kept in the cache", cached, "", 60, 900},
		{"from the cache", cached, "", 5, 700},
		{"from JSON, with little memory", "", "640MiB", 60, 700},
	} {
		t.Run(run.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpenBig$", "-test.v")
			cmd.Env = append(os.Environ(), "EMRVAULT_BIG_REPOSITORY="+repo, "EMRVAULT_BIG_CACHE="+run.cache, "GOMEMLIMIT="+run.limit)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			said := regexp.MustCompile(`took ([0-9.]+) s, peak (\d+) MiB`).FindStringSubmatch(string(out))
			if said == nil {
				t.Fatalf("it says nothing:\n%s", out)
			}
			t.Log(said[0])
			seconds, _ := strconv.ParseFloat(said[1], 64)
			mib, _ := strconv.Atoi(said[2])
			if seconds > run.seconds || mib > run.mib {
				t.Errorf("got %.1f s and %d MiB, want at most %.0f s and %d MiB", seconds, mib, run.seconds, run.mib)
			}
		})
	}
}

// TestOpenBig is the program that TestTenMillionBlobs starts.
func TestOpenBig(t *testing.T) {
	dir := os.Getenv("EMRVAULT_BIG_REPOSITORY")
	if dir == "" {
		t.Skip("a part of TestTenMillionBlobs, which starts it")
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // as the program does
	}
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	r, err := Open(t.Context(), st, "geheim", WithCache(os.Getenv("EMRVAULT_BIG_CACHE"), 2<<30))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	for n := 0; n < bigBlobs; n += bigBlobs / 1000 {
		if !r.Has(blob.DataHandle(bigID(n))) {
			t.Fatalf("blob %d is not there", n)
		}
	}
	t.Logf("took %.2f s, peak %d MiB, %d blobs", took.Seconds(), peak(t), r.index().Len())
}

func peak(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if said == nil {
		t.Fatal("no VmHWM in /proc/self/status")
	}
	kib, _ := strconv.Atoi(string(said[1]))
	return kib >> 10
}

func bigID(n int) blob.ID { return blob.Hash(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

// makeBig writes the index files of a repository that has nothing else: packs
// of 50 blobs, index files of 50,000.
func makeBig(t *testing.T, dir string) {
	t.Helper()
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Create(t.Context(), st, "geheim", WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}), WithVerify(VerifyOff))
	if err != nil {
		t.Fatal(err)
	}
	const packs, each = 1000, 50
	for from := 0; from < bigBlobs; from += packs * each {
		if err := bigFile(t.Context(), r, from, packs, each); err != nil {
			t.Fatal(err)
		}
	}
}

func bigFile(ctx context.Context, r *Repository, from, packs, each int) error {
	list := make([]index.Pack, packs)
	for p := range list {
		list[p] = index.Pack{ID: bigID(-1 - from - p*each), Entries: make([]pack.Entry, each)}
		offset := uint32(0)
		for i := range list[p].Entries {
			id := bigID(from + p*each + i)
			length := 300_000 + uint32(binary.LittleEndian.Uint16(id[:]))
			list[p].Entries[i] = pack.Entry{
				Handle: blob.DataHandle(id), Offset: offset, Length: length, Plain: length * 3,
			}
			offset += length
		}
	}
	if _, err := r.saveIndexFile(ctx, list); err != nil {
		return fmt.Errorf("index file from blob %d: %w", from, err)
	}
	return nil
}
