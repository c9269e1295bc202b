package sample

import (
	"fmt"
	"math/rand/v2"
	"time"
)

type patient struct {
	id                                          int64
	number, name, sex, idNumber, phone, address string
	blood, allergy                              string
	birth                                       time.Time
}

func (p *patient) age(at time.Time) int { return max(0, int(at.Sub(p.birth).Hours()/24/365.25)) }

// Kinds of a visit, as the tables keep them.
const (
	inpatient  = "住院"
	outpatient = "门诊"
)

type visit struct {
	id           int64
	kind, number string
	disease      disease
	doctor       int64
	bed          int
	admitted     time.Time
	discharged   time.Time // zero: still on the ward
}

func (v *visit) days(at time.Time) int { return int(at.Sub(v.admitted).Hours()/24) + 1 }

// Status words of a document.
const (
	draft    = "草稿"
	signed   = "已签名"
	archived = "已归档"
)

type document struct {
	id       int64
	form     form
	author   int64
	status   string
	at       time.Time
	versions []version
	sections []section // of the newest version
	path     string    // below the folder of the EMR, "" while not archived
}

type version struct {
	at      time.Time
	content string
}

// stay is one visit with all that was written.
type stay struct {
	visit
	documents []*document
	vitals    []measure
}

// chart is one patient with all visits: what one step of the maker makes.
type chart struct {
	patient
	stays []*stay
}

// newPatient makes person number n of the hospital.
func newPatient(r *rand.Rand, n int64, now time.Time) patient {
	birth := now.AddDate(-r.IntN(90), 0, -r.IntN(365)).Truncate(24 * time.Hour)
	return patient{
		id: n, number: fmt.Sprintf("P%08d", n), name: newName(r, n), sex: pick(r, []string{"男", "女"}), birth: birth,
		// 999999 is no region: such a number can belong to nobody.
		idNumber: fmt.Sprintf("999999%s%03dX", birth.Format("20060102"), r.IntN(1000)),
		phone:    fmt.Sprintf("199%08d", r.IntN(100000000)),
		address:  fmt.Sprintf("%s%s村%d号", pick(r, towns), string(pick(r, surnames)), 1+r.IntN(300)),
		blood:    pick(r, []string{"A", "B", "O", "AB"}), allergy: pick(r, allergies),
	}
}

// ward is what a chart needs to know of the hospital.
type ward struct {
	seed    uint64
	begin   time.Time // of the history
	now     time.Time // its end
	doctors int64     // users 1..doctors write, the rest nurse
	users   int64
	fresh   bool // charts are of people who come for the first time, today
}

// chart writes patient n from the seed alone, so that charts can be made in
// any order, by several hands, and come out the same.
func (w ward) chart(n int64) *chart {
	r := rand.New(rand.NewPCG(w.seed, uint64(n))) //nolint:gosec // made-up people must come out the same for a seed; nothing secret is drawn
	c := &chart{patient: newPatient(r, n, w.now)}
	visits := 1 + r.IntN(6)
	if w.fresh {
		visits = 1
	}
	for k := range visits {
		at := w.begin.Add(time.Duration(r.Float64() * float64(w.now.Sub(w.begin))))
		if n <= onWard && k == 0 {
			at = w.now.Add(-time.Duration(20+r.IntN(90)) * time.Hour) // some are here today
		}
		s := &stay{visit: w.visit(r, n, k, at, n <= onWard && k == 0)}
		p := &pen{Rand: r, who: &c.patient, visit: &s.visit}
		if s.kind == inpatient {
			w.writeStay(p, s)
		} else {
			s.add(p, clinicNote, w.author(r, clinicNote, s.doctor), at)
			if later := at.Add(time.Duration(3+r.IntN(20)) * time.Minute); later.Before(w.now) {
				s.add(p, medicine, w.author(r, medicine, s.doctor), later)
			}
		}
		c.stays = append(c.stays, s)
	}
	return c
}

// onWard is the number of patients who lie in the hospital at least.
const onWard = 12

func (w ward) visit(r *rand.Rand, n int64, k int, at time.Time, stays bool) visit {
	d := pick(r, diseases)
	v := visit{kind: outpatient, disease: d, doctor: 1 + r.Int64N(w.doctors), admitted: at.Truncate(time.Minute)}
	v.number = fmt.Sprintf("MZ%s%06d%d", at.In(zone).Format("06"), n, k)
	if stays || r.IntN(10) < 4 {
		v.kind, v.bed = inpatient, 1+r.IntN(departments[d.department].beds)
		v.number = fmt.Sprintf("ZY%s%06d%d", at.In(zone).Format("06"), n, k)
		if out := at.Add(time.Duration(48+r.IntN(12*24)) * time.Hour).Truncate(time.Minute); !stays && out.Before(w.now) {
			v.discharged = out
		}
	}
	return v
}

func (w ward) author(r *rand.Rand, f form, doctor int64) int64 {
	if f.nurse {
		return w.doctors + 1 + r.Int64N(w.users-w.doctors)
	}
	return doctor
}

// writeStay writes what a ward writes from admission to discharge, or to now.
func (w ward) writeStay(p *pen, s *stay) {
	end := s.discharged
	if end.IsZero() {
		end = w.now
	}
	add := func(f form, at time.Time) {
		if at.Before(end) {
			s.add(p, f, w.author(p.Rand, f, s.doctor), at.Truncate(time.Second))
		}
	}
	add(admission, s.admitted.Add(time.Duration(30+p.IntN(300))*time.Minute))
	add(firstNote, s.admitted.Add(time.Duration(60+p.IntN(400))*time.Minute))
	add(labReport, s.admitted.Add(time.Duration(90+p.IntN(400))*time.Minute))
	cut := 1 + p.IntN(3) // day of the operation
	for day := 1; day < 15; day++ {
		at := s.admitted.Add(time.Duration(day*24+p.IntN(5)) * time.Hour)
		if !at.Before(end) {
			break
		}
		add(pick(p.Rand, []form{dailyNote, dailyNote, roundNote, dailyNote, consult}), at)
		add(nursingNote, at.Add(time.Duration(p.IntN(600))*time.Minute))
		if p.IntN(3) == 0 {
			add(labReport, at.Add(time.Duration(p.IntN(300))*time.Minute))
		}
		if s.disease.surgery != "" && day == cut {
			add(consent, at.Add(time.Hour))
			add(operation, at.Add(6*time.Hour))
			add(afterNote, at.Add(8*time.Hour))
		}
		s.vitals = append(s.vitals, p.measure(at), p.measure(at.Add(min(6*time.Hour, end.Sub(at)))))
	}
	if !s.discharged.IsZero() {
		w.close(p, s)
		return
	}
	w.writeToday(p, s, w.now.Add(-5*time.Hour))
}

// writeToday writes the latest work about a patient who is here: a note, and
// one that was begun and is not signed.
func (w ward) writeToday(p *pen, s *stay, since time.Time) {
	if since.Before(s.admitted) {
		since = s.admitted
	}
	span := int64(w.now.Sub(since))
	moment := func(from int64) time.Time {
		return since.Add(time.Duration(from + p.Int64N(max(1, span/2)))).Truncate(time.Second)
	}
	s.add(p, dailyNote, s.doctor, moment(0))
	s.add(p, dailyNote, s.doctor, moment(span/2))
	s.documents[len(s.documents)-1].status = draft
}

// close writes the last documents of a stay and archives all.
func (w ward) close(p *pen, s *stay) {
	s.add(p, discharge, s.doctor, s.discharged)
	s.add(p, frontPage, s.doctor, s.discharged)
	for _, d := range s.documents {
		d.status = archived
		if d.form.file != "" {
			d.path = s.folder() + "/" + d.form.file + ".xml"
		}
	}
}

// folder is where the files of a stay lie, below the folder of the EMR.
func (v *visit) folder() string {
	return fmt.Sprintf("%s/%s/%s", Documents, v.admitted.In(zone).Format("2006/01"), v.number)
}

// add writes a document; two in five were corrected after they were first saved.
func (s *stay) add(p *pen, f form, author int64, at time.Time) {
	d := &document{form: f, author: author, status: signed, at: at}
	d.write(p, at)
	for i := range p.IntN(5) / 3 {
		d.write(p, at.Add(time.Duration(20*i+p.IntN(20))*time.Second))
	}
	s.documents = append(s.documents, d)
}

// write saves one more version. A correction changes a paragraph and leaves
// the rest, as people do.
func (d *document) write(p *pen, at time.Time) {
	if len(d.versions) == 0 {
		d.sections = d.form.write(p, at)
	} else {
		s := &d.sections[p.IntN(len(d.sections))]
		s.paragraphs = append(s.paragraphs, "更正:"+p.symptomsToday())
	}
	d.versions = append(d.versions, version{at: at, content: join(d.form.title, d.sections)})
}
