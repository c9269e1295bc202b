package snapshot

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/storage/local"
)

const million = 1_000_000

// TestMillionFiles writes and reads one folder of a million files, each way as
// a program of its own, and compares the peak of its memory with the length of
// the tree. More than twice would mean that its text is there twice.
func TestMillionFiles(t *testing.T) {
	if os.Getenv("EMRVAULT_BIG") == "" {
		t.Skip("makes a folder of a million files and takes a minute and a GiB of memory: set EMRVAULT_BIG=1 to run it")
	}
	dir := filepath.Join(t.TempDir(), "repo")
	for _, way := range []string{"write", "walk", "find", "check"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBigFolder$", "-test.v")
		cmd.Env = append(os.Environ(), "EMRVAULT_BIG_FOLDER="+dir, "EMRVAULT_BIG_WAY="+way)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		said := regexp.MustCompile(`took ([0-9.]+) s, peak (\d+) MiB, tree (\d+) MiB`).FindStringSubmatch(string(out))
		if said == nil {
			t.Fatalf("it says nothing:\n%s", out)
		}
		t.Log(way, said[0])
		peak, _ := strconv.Atoi(said[2])
		tree, _ := strconv.Atoi(said[3])
		if peak > 2*tree {
			t.Errorf("%s: got %d MiB for a tree of %d MiB", way, peak, tree)
		}
	}
}

// TestBigFolder is the program that TestMillionFiles starts.
func TestBigFolder(t *testing.T) {
	dir, way := os.Getenv("EMRVAULT_BIG_FOLDER"), os.Getenv("EMRVAULT_BIG_WAY")
	if dir == "" {
		t.Skip("a part of TestMillionFiles, which starts it")
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // as the program does
	}
	st, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	length := 0
	if way == "write" {
		length, err = writeBig(t.Context(), st)
	} else {
		length, err = readBig(t.Context(), st, way)
	}
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if said == nil {
		t.Fatal("no VmHWM in /proc/self/status")
	}
	kib, _ := strconv.Atoi(string(said[1]))
	t.Logf("took %.2f s, peak %d MiB, tree %d MiB", took.Seconds(), kib>>10, length>>20)
}

func writeBig(ctx context.Context, st *local.Storage) (length int, err error) {
	r, err := repository.Create(ctx, st, "geheim", repository.WithKDF(crypto.KDF{N: 1024, R: 8, P: 1}))
	if err != nil {
		return 0, err
	}
	point := &Snapshot{Time: time.Now(), Hostname: "host", Paths: []string{"/emr"}}
	err = r.Write(ctx, func(ctx context.Context, w *repository.Writer) error {
		var tree Builder
		tree.Expect(million)
		piece, err := w.Save(ctx, blob.Data, []byte("a record"))
		if err != nil {
			return err
		}
		n := page(1)[0]
		for i := range million {
			n.Name, n.Inode, n.Content, n.Size = fmt.Sprintf("document %07d.xml", i), uint64(i)*7, []blob.ID{piece.ID}, 8
			if err := tree.Add(n); err != nil {
				return err
			}
		}
		text := tree.Bytes()
		length = len(text)
		saved, err := w.SaveNow(ctx, blob.Tree, text)
		point.Tree = saved.ID
		return err
	})
	if err != nil {
		return length, err
	}
	return length, Save(ctx, r, point)
}

func readBig(ctx context.Context, st *local.Storage, way string) (length int, err error) {
	r, err := repository.Open(ctx, st, "geheim")
	if err != nil {
		return 0, err
	}
	if err := r.LoadIndex(ctx); err != nil {
		return 0, err
	}
	list, err := List(ctx, r, Filter{})
	if err != nil {
		return 0, err
	}
	length, _ = r.BlobSize(blob.TreeHandle(list[0].Tree))
	switch way {
	case "walk":
		files := 0
		err = Walk(ctx, r, list[0].Tree, func(string, *Node) error { files++; return nil })
		if err == nil && files != million {
			err = fmt.Errorf("got %d files", files)
		}
	case "find":
		_, err = Lookup(ctx, r, list[0], "/document 0999999.xml")
	case "check":
		err = Check(ctx, r, func(f repository.Finding) { err = fmt.Errorf("check finds: %s", f.Text) })
	}
	return length, err
}
