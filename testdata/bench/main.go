// Command bench races this program against its peers and prints the table of
// speed targets in Markdown.
//
//	bench -harness FOLDER -work FOLDER -out FOLDER -restic 0.14.0 -reps 3 -docs 100000 PROFILE...
//
// The races themselves are run by the harness's bench.py: each contestant in
// turn, each tree restored and compared. Here it is told who takes part, and
// what came out is put beside the targets. Profiles of the generator are small,
// medium and large (mixed trees) and files (small records).
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Names of contestants in the harness; sampled is ours with another flag.
const (
	ours    = "emrvault"
	sampled = "emrvault-sampled"
	restic  = "restic"
	kopia   = "kopia"
	borg    = "borg"
)

// race is what is run and where.
type race struct {
	harness, work, out string
	restic             string // its version
	reps, docs         int
}

func main() {
	var r race
	flag.StringVar(&r.harness, "harness", "", "folder with bench.py and contestants.json")
	flag.StringVar(&r.work, "work", "", "folder for trees and repositories")
	flag.StringVar(&r.out, "out", "", "folder for the lines of results")
	flag.StringVar(&r.restic, "restic", "", "version of restic")
	flag.IntVar(&r.reps, "reps", 3, "how often each work is done")
	flag.IntVar(&r.docs, "docs", 100_000, "how many small records")
	flag.Parse()
	if err := r.run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (r race) run(profiles []string) error {
	contestants, err := r.contestants()
	if err != nil {
		return err
	}
	t := newTable(r.restic)
	for _, profile := range profiles {
		results, err := r.profile(profile, contestants)
		if err != nil {
			return fmt.Errorf("profile %s: %w", profile, err)
		}
		if err := t.add(profile == "files", results); err != nil {
			return fmt.Errorf("profile %s: %w", profile, err)
		}
	}
	return t.print(os.Stdout)
}

// contestants writes the harness's list with ours once more: read back in
// samples, and only for backups.
func (r race) contestants() (file string, err error) {
	text, err := os.ReadFile(filepath.Join(r.harness, "contestants.json"))
	if err != nil {
		return "", err
	}
	var all map[string]map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return "", err
	}
	us, ok := all[ours]
	if !ok {
		return "", errors.New("the harness knows no " + ours)
	}
	all[sampled] = map[string]any{
		"bin": us["bin"], "env": us["env"], "init": us["init"],
		"backup": fmt.Sprint(us["backup"], " --read-back sampled"),
	}
	if text, err = json.Marshal(all); err != nil {
		return "", err
	}
	file = filepath.Join(r.work, "contestants.json")
	return file, os.WriteFile(file, text, 0o600)
}

// profile runs all races over one tree and gives their results.
func (r race) profile(profile, contestants string) ([]result, error) {
	work, out := filepath.Join(r.work, profile), filepath.Join(r.out, profile+".jsonl")
	if err := errors.Join(os.MkdirAll(work, 0o700), os.MkdirAll(r.out, 0o755), os.RemoveAll(out)); err != nil {
		return nil, err
	}
	args := []string{
		filepath.Join(r.harness, "bench.py"), "--profile", profile, "--reps", strconv.Itoa(r.reps), "--days", "2",
		"--only", strings.Join([]string{restic, ours, sampled, kopia, borg}, ","), "--out", out,
	}
	if profile == "files" {
		args = append(args, "--seed", "3", "--gen", fmt.Sprint("-docs ", r.docs))
	}
	cmd := exec.Command("python3", args...)
	cmd.Env = append(os.Environ(), "BENCH_WORK="+work, "CONTESTANTS="+contestants)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	results, err := readResults(out)
	return results, errors.Join(err, os.RemoveAll(work))
}
