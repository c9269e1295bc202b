package protection

import (
	"fmt"
	"strings"
	"time"

	"emrvault/backup/storage/probe"
	"emrvault/webui/render"
)

// probeView is what a place answered, in words for a hospital.
type probeView struct {
	At       time.Time
	Usable   bool
	Missing  bool // the folder or bucket is not there yet
	Remote   bool
	Steps    []probeStep
	Warnings []string
	Problem  string // the place could not be asked at all
}

// probeStep is one answer: what it says, and what it means.
type probeStep struct {
	Name   string
	State  probe.State
	Detail string
	Means  string
}

// probeOf puts a report into words; lockDays is what is wanted of the place.
func probeOf(f *render.Frame, r probe.Report, lockDays int) *probeView {
	v := &probeView{At: r.Time, Usable: r.Usable, Remote: strings.HasPrefix(r.Location, "s3:")}
	for _, step := range r.Steps {
		shown := probeStep{Name: step.Name, State: step.State, Means: v.means(f, step)}
		if step.State != probe.Unsupported { // there the meaning says all
			shown.Detail = stepDetail(f, step)
		}
		v.Steps = append(v.Steps, shown)
	}
	if step, asked := r.Step(probe.Write); asked && step.Key == probe.NoPlace {
		v.Missing, v.Steps = true, nil
	}
	v.Warnings = v.warnings(f, r, lockDays)
	return v
}

// stepDetail tells in the reader's language what a step found.
func stepDetail(f *render.Frame, step probe.Step) string {
	key := "probe.detail." + step.Key
	if step.Key == "" || !f.Lang.Has(key) {
		return step.Text
	}
	var args []any
	for name, value := range step.Args {
		if rate, ok := wholeNumber(value); ok && name == "bytes" {
			value = f.Lang.Bytes(rate)
		}
		args = append(args, name, value)
	}
	return f.Lang.T(key, args...)
}

// wholeNumber reads a number of a report, which is another type once the
// report has been kept.
func wholeNumber(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), true
	}
	return 0, false
}

// means is one sentence on what an answer is for the hospital.
func (v *probeView) means(f *render.Frame, step probe.Step) string {
	key := fmt.Sprintf("repositories.means.%s.%s", step.Name, step.State)
	if special := key + "." + step.Key; f.Lang.Has(special) {
		return f.Lang.T(special)
	}
	if general := "repositories.means." + step.Key; f.Lang.Has(general) {
		return f.Lang.T(general)
	}
	if step.State == probe.OK {
		if rate, ok := wholeNumber(step.Args["bytes"]); ok && rate > 0 {
			return f.Lang.T(key, "time", time.Duration(float64(terabyte)/float64(rate)*float64(time.Second)))
		}
	}
	return f.Lang.T(key)
}

// terabyte is what the speed is told for.
const terabyte = 1 << 40

// warnings are what somebody should know before he relies on the place.
func (v *probeView) warnings(f *render.Frame, r probe.Report, lockDays int) (list []string) {
	if !v.Remote || !v.Usable {
		return nil
	}
	locks := answered(r, probe.ObjectLock)
	switch {
	case locks == probe.OK && lockDays == 0:
		list = append(list, f.Lang.T("repositories.warn.lock-unused"))
	case locks != probe.OK && lockDays > 0:
		list = append(list, f.Lang.Plural("repositories.warn.lock-missing", lockDays))
	case locks != probe.OK:
		list = append(list, f.Lang.T("repositories.warn.no-lock"))
	}
	if answered(r, probe.Clock) == probe.Failed {
		list = append(list, f.Lang.T("repositories.warn.clock"))
	}
	return list
}

func answered(r probe.Report, name string) probe.State {
	step, _ := r.Step(name)
	return step.State
}
