package sample

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// guests reads everybody who lay in the hospital when the day began, each as a
// chart of one stay.
func (d *day) guests() ([]*chart, error) {
	rows, err := d.tx.QueryContext(d.ctx, `
		SELECT p.id, p.number, p.name, p.sex, p.birth_date, p.id_number, p.phone, p.address, p.allergy,
			v.id, v.number, v.doctor_id, v.icd, v.admitted_at
		FROM visits v JOIN patients p ON p.id = v.patient_id
		WHERE v.discharged_at IS NULL AND v.kind = '住院' AND v.admitted_at < ? ORDER BY v.id`, stamp(d.ward.begin))
	if err != nil {
		return nil, fmt.Errorf("read who is here: %w", err)
	}
	defer rows.Close()
	var guests []*chart
	for rows.Next() {
		c, s := &chart{}, &stay{visit: visit{kind: inpatient}}
		var birth, icd, admitted string
		err := rows.Scan(&c.id, &c.number, &c.name, &c.sex, &birth, &c.idNumber, &c.phone, &c.address, &c.allergy,
			&s.id, &s.number, &s.doctor, &icd, &admitted)
		if err != nil {
			return nil, fmt.Errorf("read who is here: %w", err)
		}
		if c.birth, err = time.Parse(time.DateOnly, birth); err != nil {
			return nil, fmt.Errorf("read who is here: %w", err)
		}
		if s.admitted, err = time.Parse(time.RFC3339, admitted); err != nil {
			return nil, fmt.Errorf("read who is here: %w", err)
		}
		s.disease = diseases[max(0, slices.IndexFunc(diseases, func(x disease) bool { return x.icd == icd }))]
		c.stays = []*stay{s}
		guests = append(guests, c)
	}
	return guests, rows.Err()
}

// written reads the documents of a visit, each in its newest version.
func (d *day) written(visit int64) ([]*document, error) {
	rows, err := d.tx.QueryContext(d.ctx, `
		SELECT d.id, d.kind, d.author_id, d.created_at, d.version, v.saved_at, v.content
		FROM documents d JOIN document_versions v ON v.document_id = d.id AND v.version = d.version
		WHERE d.visit_id = ? ORDER BY d.created_at, d.id`, visit)
	if err != nil {
		return nil, fmt.Errorf("read documents: %w", err)
	}
	defer rows.Close()
	var list []*document
	for rows.Next() {
		doc := &document{}
		var kind, created, saved, content string
		var versions int
		if err := rows.Scan(&doc.id, &kind, &doc.author, &created, &versions, &saved, &content); err != nil {
			return nil, fmt.Errorf("read documents: %w", err)
		}
		doc.form = formOf(kind)
		doc.sections = parse(content)
		doc.versions = make([]version, versions)
		last := &doc.versions[versions-1]
		last.content = content
		if doc.at, err = time.Parse(time.RFC3339, created); err != nil {
			return nil, fmt.Errorf("read documents: %w", err)
		}
		if last.at, err = time.Parse(time.RFC3339, saved); err != nil {
			return nil, fmt.Errorf("read documents: %w", err)
		}
		list = append(list, doc)
	}
	return list, rows.Err()
}

func formOf(title string) form {
	all := forms()
	return all[max(0, slices.IndexFunc(all, func(f form) bool { return f.title == title }))]
}

// parse reads back what join wrote; vital signs stay lines of text.
func parse(content string) []section {
	parts := strings.Split(content, "\n【")
	var list []section
	for _, part := range parts[1:] {
		title, text, _ := strings.Cut(part, "】")
		s := section{title: title}
		if text = strings.TrimPrefix(text, "\n"); text != "" {
			s.paragraphs = strings.Split(text, "\n")
		}
		list = append(list, s)
	}
	return list
}
