package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// row is one line of the table: what is measured and what it should be.
type row struct {
	name, contestant, phase string
	mixed, small            bool    // on which trees
	target, kopia           float64 // our share of what restic 0.19 and kopia take
	calibrated              float64 // what restic 0.14 takes against 0.19; 1 where it was not measured
}

// Targets are against restic 0.19; where only 0.14 can be had, its CPU time is
// converted by what both took for the same 3.3 GB on an idle machine.
func rows() []row {
	return []row{
		{"first backup, all read back", ours, "first", true, false, 0.65, 0.8, 1.16},
		{"first backup, samples read back", sampled, "first", true, false, 0.52, 0.65, 1.16},
		{"first backup, all read back", ours, "first", false, true, 0.5, 0.6, 1.16},
		{"nothing changed", ours, "nochange", false, true, 0.2, 0.4, 1},
		{"a day later", ours, "day", true, true, 0.5, 0, 0.9},
		{"restore", ours, "restore", true, false, 0.6, 0.4, 2},
		{"restore", ours, "restore", false, true, 0.5, 0.2, 2},
		{"check, every byte", ours, "check", true, true, 0.7, 0.4, 1.37},
	}
}

// table gathers lines while the races are run.
type table struct {
	peer      string // restic's version
	converted bool
	lines     []string
}

func newTable(version string) *table {
	return &table{peer: version, converted: strings.HasPrefix(version, "0.14")}
}

func (t *table) add(small bool, all []result) error {
	tree := "mixed"
	if small {
		tree = "small"
	}
	for _, r := range rows() {
		if small && r.small || !small && r.mixed {
			if err := t.work(tree, r, all); err != nil {
				return err
			}
		}
	}
	if !small { // each small record that changed is a blob of its own, for everybody
		t.amount(tree+": stored a day, MiB", all, growth, 0.6, 0.5)
	}
	t.amount(tree+": peak memory, MiB", all, peak, 1.3, 0.8)
	return nil
}

// work adds the line of something that takes time.
func (t *table) work(tree string, r row, all []result) error {
	mine, theirs := of(all, r.contestant, r.phase), of(all, restic, r.phase)
	if len(mine) == 0 || len(theirs) == 0 {
		return fmt.Errorf("nobody ran %q", r.phase)
	}
	ratio := ratioOf(mine, theirs, cpu)
	newer := ratio
	if t.converted {
		newer *= r.calibrated
	}
	busy := medianOf(slices.Concat(mine, theirs), noise)
	t.line(tree+": "+r.name, []string{
		fmt.Sprintf("%.2f : %.2f", medianOf(mine, cpu), medianOf(theirs, cpu)), share(ratio), t.newer(newer), share(r.target), verdict(newer, r.target),
		share(ratioOf(mine, theirs, wall)),
		against(ratioOf(mine, of(all, kopia, r.phase), cpu), r.kopia), share(ratioOf(mine, of(all, borg, r.phase), cpu)), fmt.Sprintf("%.2f", busy),
	})
	return nil
}

// amount adds the line of something that is no time and is not converted.
func (t *table) amount(name string, all []result, figure func([]result, string) float64, target, forKopia float64) {
	mine, theirs := figure(all, ours), figure(all, restic)
	t.line(name, []string{
		fmt.Sprintf("%.1f : %.1f", mine, theirs), share(over(mine, theirs)), "", share(target), verdict(over(mine, theirs), target), "",
		against(over(mine, figure(all, kopia)), forKopia), share(over(mine, figure(all, borg))), "",
	})
}

func (t *table) line(name string, cells []string) {
	t.lines = append(t.lines, "| "+name+" | "+strings.Join(cells, " | ")+" |")
}

func (t *table) newer(ratio float64) string {
	if t.converted {
		return share(ratio)
	}
	return ""
}

func (t *table) print(w io.Writer) error {
	newer := ""
	if t.converted {
		newer = "converted to 0.19"
	}
	_, err := fmt.Fprintf(w, "\nCPU seconds, medians; shares are ours over theirs, medians of runs that took turns. Noise is how much of the machine others had.\n\n"+
		"| work | CPU s, ours : restic %s | share | %s | target | met | wall | of kopia (target) | of borg | noise |\n|---|---|---|---|---|---|---|---|---|---|\n%s\n",
		t.peer, newer, strings.Join(t.lines, "\n"))
	return err
}

func over(mine, theirs float64) float64 {
	if theirs == 0 {
		return 0
	}
	return mine / theirs
}

// share prints a ratio, and nothing for what nobody measured.
func share(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", ratio)
}

func against(ratio, target float64) string {
	if ratio == 0 || target == 0 {
		return share(ratio)
	}
	return share(ratio) + " (" + share(target) + ")"
}

func verdict(ratio, target float64) string {
	if ratio <= target {
		return "yes"
	}
	return "**no**"
}
