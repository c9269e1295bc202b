package sample

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// zone is the hospital's: documents speak of its wall clock, tables of UTC.
var zone = time.FixedZone("UTC+8", 8*3600)

// section is a heading with its paragraphs; a document is a list of them.
type section struct {
	title      string
	paragraphs []string
	measures   []measure
}

// measure is one set of vital signs.
type measure struct {
	at                                 time.Time
	temperature                        float64
	pulse, breath, systolic, low, spo2 int
}

// pen writes about one visit.
type pen struct {
	*rand.Rand
	who   *patient
	visit *visit
	b     strings.Builder
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// say ends what was written as one paragraph.
func (p *pen) say() string {
	text := p.b.String()
	p.b.Reset()
	return text
}

func (p *pen) put(parts ...string) {
	for _, part := range parts {
		p.b.WriteString(part)
	}
}

// some writes n different words of a list, joined.
func (p *pen) some(list []string, n int, join string) {
	at := p.IntN(len(list))
	step := 1 + p.IntN(len(list)-1)
	for i := range n {
		if i > 0 {
			p.put(join)
		}
		p.put(list[at])
		at = (at + step + p.IntN(3)) % len(list)
	}
}

// story tells how it began: the history of the present illness.
func (p *pen) story() string {
	p.put("患者", strconv.Itoa(1+p.IntN(30)), pick(p.Rand, []string{"天前", "周前", "月余前", "小时前", "年前"}), pick(p.Rand, onsets))
	p.some(symptoms, 1+p.IntN(3), "、")
	for range 2 + p.IntN(3) {
		p.put(",")
		p.put(pick(p.Rand, qualities))
	}
	p.put("。无")
	p.some(symptoms, 3+p.IntN(4), "、")
	p.put("。")
	for range 2 + p.IntN(3) {
		p.put(pick(p.Rand, courses), pick(p.Rand, []string{",", ",", "。"}))
	}
	p.put("查", pick(p.Rand, images), "提示", pick(p.Rand, readings), ",予")
	p.order()
	p.put("等治疗,症状", pick(p.Rand, []string{"稍缓解", "无缓解", "反复发作", "一度好转后再发"}), "。")
	return p.say()
}

func (p *pen) order() {
	p.put(pick(p.Rand, drugs), " ", strconv.Itoa(5*(1+p.IntN(60))), pick(p.Rand, []string{"mg ", "ml ", "mg ", "IU "}), pick(p.Rand, ways))
}

func (p *pen) orders(n int) string {
	for i := range n {
		p.put(strconv.Itoa(i+1), ". ")
		p.order()
		p.put(";")
	}
	return p.say()
}

// measure makes vital signs around the patient's own habit.
func (p *pen) measure(at time.Time) measure {
	sick := p.IntN(4)
	return measure{at: at, temperature: 36.1 + p.Float64()*0.9 + float64(sick/3)*p.Float64()*2, pulse: 58 + p.IntN(50),
		breath: 14 + p.IntN(9), systolic: 98 + p.IntN(72), low: 56 + p.IntN(40), spo2: 100 - p.IntN(8)}
}

func (m measure) String() string {
	return fmt.Sprintf("T %.1f℃,P %d次/分,R %d次/分,BP %d/%dmmHg,SpO2 %d%%", m.temperature, m.pulse, m.breath, m.systolic, m.low, m.spo2)
}

func (p *pen) body(at time.Time, n int) string {
	p.put("查体:", p.measure(at).String(), "。")
	p.some(exams, n, ",")
	p.put("。")
	return p.say()
}

func (p *pen) symptomsToday() string {
	p.put("患者今日诉", pick(p.Rand, symptoms), pick(p.Rand, []string{"较前减轻", "同前", "较前加重", "已消失", "偶有发作", "夜间明显"}), ",")
	p.some(courses, 1+p.IntN(2), ",")
	p.put(",无")
	p.some(symptoms, 2+p.IntN(4), "、")
	p.put("。")
	return p.say()
}

func (p *pen) planned(n int) string {
	for i := range n {
		p.put(strconv.Itoa(i+1), ". ", pick(p.Rand, plans), ";")
	}
	return p.say()
}

// results are a laboratory's lines; one in four is out of its range.
func (p *pen) results(n int) []string {
	lines := make([]string, 0, n)
	at := p.IntN(len(labs))
	for range n {
		l := labs[at%len(labs)]
		at += 1 + p.IntN(3)
		width := l.high - l.low
		value, flag := l.low+p.Float64()*width, ""
		switch p.IntN(8) {
		case 0:
			value, flag = l.high+p.Float64()*width, "↑"
		case 1:
			value, flag = max(0, l.low-p.Float64()*width/2), "↓"
		}
		lines = append(lines, fmt.Sprintf("%s %s(%s) %s %s%s 参考区间 %g-%g", l.panel, l.name, l.code,
			strconv.FormatFloat(value, 'f', l.digits, 64), l.unit, flag, l.low, l.high))
	}
	return lines
}

func (p *pen) picture() string {
	p.put(pick(p.Rand, images), "(检查号", strconv.Itoa(1000000+p.IntN(9000000)), "):")
	p.some(readings, 2+p.IntN(3), ";")
	p.put("。印象:", pick(p.Rand, readings), ",请结合临床。")
	return p.say()
}

func (p *pen) intro() string {
	v := p.visit
	p.put(p.who.name, ",", p.who.sex, ",", strconv.Itoa(p.who.age(v.admitted)), "岁,因“")
	p.some(symptoms, 1+p.IntN(2), "、")
	p.put(strconv.Itoa(1+p.IntN(20)), pick(p.Rand, []string{"天", "周", "小时", "月"}), "”于", v.admitted.In(zone).Format("2006年01月02日15时04分"), "入院。")
	return p.say()
}

// join is the plain text of a document as the database keeps it.
func join(title string, sections []section) string {
	var b strings.Builder
	b.WriteString(title)
	for _, s := range sections {
		b.WriteString("\n【")
		b.WriteString(s.title)
		b.WriteString("】")
		for _, paragraph := range s.paragraphs {
			b.WriteString("\n")
			b.WriteString(paragraph)
		}
		for _, m := range s.measures {
			b.WriteString("\n")
			b.WriteString(m.at.In(zone).Format("01-02 15:04 "))
			b.WriteString(m.String())
		}
	}
	return b.String()
}
