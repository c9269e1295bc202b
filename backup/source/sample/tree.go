package sample

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The frame of a file: documents of one sort and one stay, in their order.
const (
	fileHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Documents>\n"
	fileFoot = "</Documents>\n"
)

// putDocument writes a document in the shape hospitals exchange: a head that
// says whose it is, then coded sections. Our words hold no letter that XML
// reserves.
func putDocument(b *strings.Builder, who *patient, v *visit, d *document) {
	put := func(parts ...string) {
		for _, part := range parts {
			b.WriteString(part)
		}
	}
	last := d.versions[len(d.versions)-1]
	put("<ClinicalDocument xmlns=\"urn:hl7-org:v3\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n  <realmCode code=\"CN\"/>\n  <id root=\"2.16.156.10011.1.1\" extension=\"",
		v.number, "-", d.form.code, "-", strconv.FormatInt(d.at.Unix(), 36), "\"/>\n  <code code=\"", d.form.code,
		"\" codeSystem=\"2.16.156.10011.2.4\"/>\n  <title>", d.form.title, "</title>\n  <effectiveTime value=\"", d.at.In(zone).Format("20060102150405"),
		"\"/>\n  <versionNumber value=\"", strconv.Itoa(len(d.versions)), "\" saved=\"", last.at.In(zone).Format(time.RFC3339), "\"/>\n")
	putPerson(put, who, v)
	put("  <author><assignedAuthor><id extension=\"U", strconv.FormatInt(d.author, 10), "\"/></assignedAuthor></author>\n  <component>\n    <structuredBody>\n")
	for i, s := range d.sections {
		put("      <component><section>\n        <code code=\"S", strconv.Itoa(i+1), "\" displayName=\"", s.title, "\"/>\n        <text>\n")
		for _, paragraph := range s.paragraphs {
			put("          <paragraph>", paragraph, "</paragraph>\n")
		}
		put("        </text>\n")
		for _, m := range s.measures {
			putMeasure(put, m)
		}
		put("      </section></component>\n")
	}
	put("    </structuredBody>\n  </component>\n</ClinicalDocument>\n")
}

func putPerson(put func(...string), who *patient, v *visit) {
	put("  <recordTarget>\n    <patientRole>\n      <id root=\"2.16.156.10011.1.12\" extension=\"", v.number, "\"/>\n      <id root=\"2.16.156.10011.1.13\" extension=\"", who.number,
		"\"/>\n      <patient>\n        <id root=\"2.16.156.10011.1.3\" extension=\"", who.idNumber, "\"/>\n        <name>", who.name, "</name>\n        <administrativeGenderCode displayName=\"", who.sex,
		"\"/>\n        <birthTime value=\"", who.birth.Format("20060102"), "\"/>\n      </patient>\n    </patientRole>\n  </recordTarget>\n")
}

func putMeasure(put func(...string), m measure) {
	at := m.at.In(zone).Format("20060102150405")
	for _, one := range []struct{ code, name, unit, value string }{
		{"DE04.10.186.00", "体温(℃)", "Cel", strconv.FormatFloat(m.temperature, 'f', 1, 64)},
		{"DE04.10.118.00", "脉率(次/min)", "/min", strconv.Itoa(m.pulse)},
		{"DE04.10.082.00", "呼吸频率(次/min)", "/min", strconv.Itoa(m.breath)},
		{"DE04.10.174.00", "收缩压(mmHg)", "mm[Hg]", strconv.Itoa(m.systolic)},
		{"DE04.10.176.00", "舒张压(mmHg)", "mm[Hg]", strconv.Itoa(m.low)},
		{"DE04.50.149.00", "血氧饱和度(%)", "%", strconv.Itoa(m.spo2)},
	} {
		put("        <entry><observation classCode=\"OBS\" moodCode=\"EVN\"><code code=\"", one.code, "\" codeSystem=\"2.16.156.10011.2.2.1\" displayName=\"", one.name,
			"\"/><effectiveTime value=\"", at, "\"/><value xsi:type=\"PQ\" value=\"", one.value, "\" unit=\"", one.unit, "\"/></observation></entry>\n")
	}
}

// leaf is one file of the tree that is to be written.
type leaf struct {
	path    string // below the folder of the EMR
	content []byte
	at      time.Time
}

func (l leaf) write(dir string) error {
	full := filepath.Join(dir, filepath.FromSlash(l.path))
	err := os.WriteFile(full, l.content, 0o640)
	if os.IsNotExist(err) {
		if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
			return fmt.Errorf("make folder of documents: %w", err)
		}
		err = os.WriteFile(full, l.content, 0o640)
	}
	if err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	if err := os.Chtimes(full, l.at, l.at); err != nil {
		return fmt.Errorf("write document: %w", err)
	}
	return nil
}

// leaves are the files of an archived stay.
func (s *stay) leaves(who *patient) []leaf {
	files := map[string]*strings.Builder{}
	var list []leaf
	for _, d := range s.documents {
		if d.path == "" {
			continue
		}
		b := files[d.path]
		if b == nil {
			b = &strings.Builder{}
			b.WriteString(fileHead)
			files[d.path] = b
			list = append(list, leaf{path: d.path, at: s.discharged})
		}
		putDocument(b, who, &s.visit, d)
	}
	for i := range list {
		b := files[list[i].path]
		b.WriteString(fileFoot)
		list[i].content = []byte(b.String())
	}
	return list
}

// scan is what came from the scanner: already compressed, so for a backup it
// is noise. It carries a picture's first bytes.
func (s *stay) scan(seed uint64) leaf {
	r := rand.New(rand.NewPCG(seed, uint64(s.admitted.UnixNano()))) //nolint:gosec // as for charts: the same for a seed
	content := make([]byte, 200<<10+r.IntN(700<<10))
	for i := 0; i+8 <= len(content); i += 8 {
		n := r.Uint64()
		for k := range 8 {
			content[i+k] = byte(n >> (8 * k))
		}
	}
	copy(content, "\xff\xd8\xff\xe0\x00\x10JFIF\x00")
	return leaf{s.folder() + "/扫描件_外院资料.jpg", content, s.discharged}
}
