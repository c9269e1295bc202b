package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
)

// result is one line of bench.py: one work done once by one contestant.
type result struct {
	Contestant, Phase string
	N                 int
	Code              int `json:"rc"`
	Wall, CPU, Noise  float64
	RSS               float64 `json:"rss_mib"`
	Stored            float64 `json:"repo_bytes"`
	Restored          *bool   `json:"restored_ok"`
}

// readResults reads them and refuses what did not end well: a race that was
// lost by falling has no time.
func readResults(file string) ([]result, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []result
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		if r.Code != 0 || r.Restored != nil && !*r.Restored {
			return nil, fmt.Errorf("%s failed at %s, or what it restored differs", r.Contestant, r.Phase)
		}
		all = append(all, r)
	}
	return all, errors.Join(lines.Err(), f.Close())
}

// of picks one contestant's runs of one work.
func of(all []result, contestant, phase string) (list []result) {
	for _, r := range all {
		if r.Contestant == contestant && r.Phase == phase {
			list = append(list, r)
		}
	}
	return list
}

func cpu(r result) float64   { return r.CPU }
func wall(r result) float64  { return r.Wall }
func noise(r result) float64 { return r.Noise }
func rss(r result) float64   { return r.RSS }

// medianOf is the median of one figure of some runs.
func medianOf(runs []result, figure func(result) float64) float64 {
	figures := make([]float64, len(runs))
	for i, r := range runs {
		figures[i] = figure(r)
	}
	return median(figures)
}

// ratioOf is the median of the ratios of runs that took turns; 0 if there are
// none.
func ratioOf(mine, theirs []result, figure func(result) float64) float64 {
	var ratios []float64
	for i := range min(len(mine), len(theirs)) {
		ratios = append(ratios, figure(mine[i])/figure(theirs[i]))
	}
	return median(ratios)
}

// peak is the most memory that any work takes, each by its median.
func peak(all []result, contestant string) (most float64) {
	for _, phase := range []string{"first", "nochange", "day", "restore", "check"} {
		most = max(most, medianOf(of(all, contestant, phase), rss))
	}
	return most
}

// growth is what the days added to the repository, in MiB a day.
func growth(all []result, contestant string) float64 {
	before, after := of(all, contestant, "nochange"), of(all, contestant, "day")
	if len(before) == 0 || len(after) == 0 {
		return 0
	}
	return (after[len(after)-1].Stored - before[len(before)-1].Stored) / float64(len(after)) / (1 << 20)
}

func median(figures []float64) float64 {
	n := len(figures)
	if n == 0 {
		return 0
	}
	slices.Sort(figures)
	return (figures[(n-1)/2] + figures[n/2]) / 2
}
