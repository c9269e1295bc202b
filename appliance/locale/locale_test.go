package locale_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
)

const (
	zh = locale.Chinese
	en = locale.English
)

// shown is a value in both languages.
type shown struct {
	name    string
	show    func(locale.Lang) string
	chinese string
	english string
}

func check(t *testing.T, tests []shown) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.show(zh); got != test.chinese {
				t.Errorf("zh = %q, want %q", got, test.chinese)
			}
			if got := test.show(en); got != test.english {
				t.Errorf("en = %q, want %q", got, test.english)
			}
		})
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 999: "999 B", 1000: "0.98 KB", 1023: "1.00 KB", 1024: "1.00 KB", 1536: "1.50 KB",
		10240: "10.0 KB", 863 << 10: "863 KB", 1 << 20: "1.00 MB", 13002342: "12.4 MB", 1023 << 20: "1.00 GB",
		137868148736: "128 GB", 3639340997017: "3.31 TB", 1<<63 - 1: "8192 PB", -1536: "-1.50 KB", -1 << 63: "-8192 PB",
	} {
		if got := zh.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 131072: "131,072", -1234567: "-1,234,567", -1 << 63: "-9,223,372,036,854,775,808",
	} {
		if got := en.Number(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{0: "0%", 0.004: "0%", 0.5: "50%", 0.999: "99%", 1: "100%"} {
		if got := zh.Percent(share); got != want {
			t.Errorf("Percent(%v) = %q, want %q", share, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	of := func(d time.Duration) func(locale.Lang) string {
		return func(l locale.Lang) string { return l.Duration(d) }
	}
	check(t, []shown{
		{"nothing", of(0), "0 秒", "0 s"},
		{"less than a millisecond", of(time.Microsecond), "1 毫秒", "1 ms"},
		{"milliseconds", of(340 * time.Millisecond), "340 毫秒", "340 ms"},
		{"almost a second", of(999900 * time.Microsecond), "1.0 秒", "1.0 s"},
		{"seconds with a tenth", of(2340 * time.Millisecond), "2.3 秒", "2.3 s"},
		{"almost ten seconds", of(9990 * time.Millisecond), "10 秒", "10 s"},
		{"seconds", of(41 * time.Second), "41 秒", "41 s"},
		{"almost a minute", of(59700 * time.Millisecond), "1 分", "1 min"},
		{"minutes", of(161 * time.Second), "2 分 41 秒", "2 min 41 s"},
		{"even minutes", of(10 * time.Minute), "10 分", "10 min"},
		{"hours", of(time.Hour + 5*time.Minute + 9*time.Second), "1 小时 5 分", "1 h 5 min"},
		{"days", of(75 * time.Hour), "3 天 3 小时", "3 d 3 h"},
		{"negative", of(-time.Minute), "-1 分", "-1 min"},
	})
}

func TestMoments(t *testing.T) {
	site := time.FixedZone("CST", 8*3600)
	moment := time.Date(2026, 11, 22, 18, 22, 7, 0, site)
	check(t, []shown{
		{"time", func(l locale.Lang) string { return l.Time(moment) }, "2026 年 11 月 22 日 18:22", "22 Nov 2026 18:22"},
		{"near", func(l locale.Lang) string { return l.TimeNear(moment, moment.AddDate(0, 0, -300)) }, "11 月 22 日 18:22", "22 Nov 18:22"},
		{"near, another year", func(l locale.Lang) string { return l.TimeNear(moment, moment.AddDate(0, 2, 0)) }, "2026 年 11 月 22 日 18:22", "22 Nov 2026 18:22"},
		{"zone", func(l locale.Lang) string { return l.TimeZone(moment) }, "2026 年 11 月 22 日 18:22:07 (UTC+08:00)", "22 Nov 2026 18:22:07 (UTC+08:00)"},
		{"date", func(l locale.Lang) string { return l.Date(moment.AddDate(0, -6, 0)) }, "2026 年 5 月 22 日", "22 May 2026"},
		{"weekday", func(l locale.Lang) string { return l.Weekday(moment) }, "周日", "Sun"},
		{"never", func(l locale.Lang) string { return l.Time(time.Time{}) }, "—", "—"},
	})
}

func TestAgo(t *testing.T) {
	of := func(d time.Duration) func(locale.Lang) string {
		return func(l locale.Lang) string { return l.Ago(d) }
	}
	check(t, []shown{
		{"in the future", of(-time.Hour), "刚刚", "just now"},
		{"seconds", of(59 * time.Second), "刚刚", "just now"},
		{"a minute", of(time.Minute), "1 分钟前", "1 minute ago"},
		{"minutes", of(12 * time.Minute), "12 分钟前", "12 minutes ago"},
		{"hours", of(5 * time.Hour), "5 小时前", "5 hours ago"},
		{"days", of(49 * time.Hour), "2 天前", "2 days ago"},
		{"months", of(100 * 24 * time.Hour), "3 个月前", "3 months ago"},
	})
}

func TestTexts(t *testing.T) {
	locked := errs.New(errs.Busy, "config.locked", "path", "/data", "pid", 8443)
	wrapped := fmt.Errorf("start: %w", errs.Wrap(errs.Invalid, locked, "config.value", "key", "a", "value", "{pid}"))
	check(t, []shown{
		{"unknown key", func(l locale.Lang) string { return l.T("no.such.key", "a", 1) }, "no.such.key", "no.such.key"},
		{"value that looks like a placeholder", func(l locale.Lang) string { return l.T("config.value", "key", "{value}", "value", "{key}") },
			"设置 {value} 的值 “{key}” 不能用", "the value “{key}” of setting {value} cannot be used"},
		{"error", func(l locale.Lang) string { return l.Error(fmt.Errorf("x: %w", locked)) },
			"数据文件夹 /data 正被另一个进程使用（进程号 8443）。请先停止它，或用 --data 指定别的文件夹。",
			"the data folder /data is in use by process 8443; stop it first, or name another folder with --data"},
		{"untold error", func(l locale.Lang) string { return l.Error(errors.New("SELECT failed")) }, zh.T("error.internal"), en.T("error.internal")},
		{"detail", func(l locale.Lang) string { return l.Detail(wrapped) },
			"设置 a 的值 “{pid}” 不能用：" + zh.Error(locked), "the value “{pid}” of setting a cannot be used: " + en.Error(locked)},
		{"duration as a value", func(l locale.Lang) string { return l.T("config.want.span", "least", time.Minute, "most", 2*time.Hour) },
			"应为时长，例如 30m 或 12h，介于 1 分 与 2 小时 之间", "want a length of time such as 30m or 12h, between 1 min and 2 h"},
		{"plural, one", func(l locale.Lang) string { return l.Plural("ago.day", 1) }, "1 天前", "1 day ago"},
		{"plural, thousands", func(l locale.Lang) string { return l.Plural("ago.day", 1200) }, "1,200 天前", "1,200 days ago"},
		{"no error", func(l locale.Lang) string { return l.Error(nil) + l.Detail(nil) }, "", ""},
	})
}

func TestParse(t *testing.T) {
	tests := []struct {
		word string
		want locale.Lang
		ok   bool
	}{
		{"zh", zh, true}, {"zh-CN", zh, true}, {"ZH_cn.UTF-8", zh, true}, {"en", en, true}, {"en-GB", en, true},
		{"en_US.UTF-8", en, true}, {"", zh, false}, {"fr", zh, false}, {"english", zh, false}, {"C.UTF-8", zh, false},
	}
	for _, test := range tests {
		if got, ok := locale.Parse(test.word); got != test.want || ok != test.ok {
			t.Errorf("Parse(%q) = %s, %v, want %s, %v", test.word, got, ok, test.want, test.ok)
		}
	}
}
