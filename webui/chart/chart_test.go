package chart

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sunday is the last day of the pictures.
var sunday = time.Date(2026, 11, 22, 18, 22, 0, 0, time.FixedZone("CST", 8*3600))

func month() Calendar {
	k := Calendar{Today: sunday, Weekdays: [7]string{"一", "二", "三", "四", "五", "六", "日"}}
	for i := 29; i >= 0; i-- {
		day := Day{Date: sunday.AddDate(0, 0, -i), Mark: Good, Label: "全部成功", Href: "/points?day=1&plan=a"}
		switch i {
		case 1, 8:
			day.Mark = Drilled
		case 3:
			day.Mark, day.Label = Attention, `1 次重试 "后" <成功>`
		case 18:
			day.Mark, day.Label = Failed, "2 次失败"
		case 29:
			day.Mark, day.Label, day.Href = NoMark, "没有计划", ""
		}
		k.Days = append(k.Days, day)
	}
	return k
}

func growth(n int) Growth {
	g := Growth{Series: []string{"原始数据量", "压缩后占用"}, Unit: "GB", Label: "90 天存储增长", Day: "日期", Summary: "逐周数字（表格）"}
	for i := range n {
		g.Samples = append(g.Samples, Sample{sunday.AddDate(0, 0, 7*(i-n+1)), []float64{264 + float64(i)*5.5, 84 + float64(i)*1.7}})
	}
	return g
}

func TestPictures(t *testing.T) {
	pictures := map[string]string{
		"gauge-ok":      string(Gauge{4.63 / 15, "4 分 38 秒", "当前数据丢失窗口", "RPO 4 分 38 秒，目标 15 分钟"}.SVG()),
		"gauge-near":    string(Gauge{47.0 / 60, "47 分钟", "最近演练实测", "RTO 47 分钟，目标 60 分钟"}.SVG()),
		"gauge-missed":  string(Gauge{3, "3 小时", "最近演练实测", "RTO 3 小时，目标 1 小时"}.SVG()),
		"gauge-unknown": string(Gauge{-1, "—", "尚未演练", "RTO 尚未测量"}.SVG()),
		"measure":       string(Measure{0.28, "目标 15 分", "实际 4 分 12 秒，目标 15 分"}.SVG()),
		"calendar":      string(month().HTML()),
		"growth":        string(growth(13).HTML()),
		"growth-one":    string(growth(1).HTML()),
	}
	for name, got := range pictures {
		t.Run(name, func(t *testing.T) {
			wellFormed(t, got)
			file := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("read golden file (write it with -update): %v", err)
			}
			if got+"\n" != string(want) {
				t.Errorf("%s differs from %s\n got %s\nwant %s", name, file, got, want)
			}
		})
	}
}

// wellFormed holds the markup to XML, and keeps styles and scripts out.
func wellFormed(t *testing.T, markup string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader("<x>" + markup + "</x>"))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("markup is not well formed: %v\n%s", err, markup)
		}
	}
	for _, bad := range []string{"style=", "<script", "NaN", "Inf"} {
		if strings.Contains(markup, bad) {
			t.Errorf("markup contains %q", bad)
		}
	}
}

func TestTone(t *testing.T) {
	for ratio, want := range map[float64]Tone{0: OK, 0.75: OK, 0.76: Warn, 1: Warn, 1.01: Bad, math.Inf(1): Bad} {
		if got := ToneOf(ratio); got != want {
			t.Errorf("ToneOf(%v) = %s, want %s", ratio, got, want)
		}
	}
}

func TestCeiling(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 0.3: 0.4, 3.31: 4, 10: 10, 11: 20, 850: 1000} {
		if got := ceiling(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("ceiling(%v) = %v, want %v", v, got, want)
		}
	}
}
