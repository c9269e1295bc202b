package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // Windows and small systems bring no time zones
	"unicode"
	"unicode/utf8"

	"emrvault/appliance/errs"
	"emrvault/appliance/locale"
)

// setting is one line of the table of all settings.
type setting struct {
	key      string // section.name
	standard string // the default, in the form a person types
	comment  string // key of the text above it in the file
	get      func(*Settings) string
	set      func(*Settings, string) error // checks and sets; gives the reason
}

// table lists every setting of the box, in the order of the file.
var table = []setting{
	{
		key: "site.name", standard: "", comment: "config.comment.site.name",
		get: func(s *Settings) string { return s.SiteName },
		set: func(s *Settings, v string) error { s.SiteName = v; return short(v, 80) },
	},
	{
		key: "site.language", standard: "zh", comment: "config.comment.site.language",
		get: func(s *Settings) string { return string(s.Language) },
		set: func(s *Settings, v string) error { return setLanguage(&s.Language, v) },
	},
	{
		key: "site.time_zone", standard: "Asia/Shanghai", comment: "config.comment.site.time_zone",
		get: func(s *Settings) string { return s.Zone.String() },
		set: func(s *Settings, v string) error { return setZone(&s.Zone, v) },
	},
	{
		key: "page.listen", standard: ":8443", comment: "config.comment.page.listen",
		get: func(s *Settings) string { return s.Listen },
		set: func(s *Settings, v string) error { s.Listen = v; return address(v) },
	},
	{
		key: "page.hosts", standard: "", comment: "config.comment.page.hosts",
		get: func(s *Settings) string { return strings.Join(s.Hosts, ", ") },
		set: func(s *Settings, v string) error { return setHosts(&s.Hosts, v) },
	},
	{
		key: "session.idle", standard: "30m", comment: "config.comment.session.idle",
		get: func(s *Settings) string { return span(s.SessionIdle) },
		set: func(s *Settings, v string) error { return setSpan(&s.SessionIdle, v, time.Minute, 24*time.Hour) },
	},
	{
		key: "session.life", standard: "12h", comment: "config.comment.session.life",
		get: func(s *Settings) string { return span(s.SessionLife) },
		set: func(s *Settings, v string) error { return setSpan(&s.SessionLife, v, 5*time.Minute, 7*24*time.Hour) },
	},
	{
		key: "log.level", standard: "info", comment: "config.comment.log.level",
		get: func(s *Settings) string { return strings.ToLower(s.LogLevel.String()) },
		set: func(s *Settings, v string) error { return setLevel(&s.LogLevel, v) },
	},
}

func byKey(key string) *setting {
	for i := range table {
		if table[i].key == key {
			return &table[i]
		}
	}
	return nil
}

func byVariable(name string) *setting {
	for i := range table {
		if Variable(table[i].key) == name {
			return &table[i]
		}
	}
	return nil
}

// why tells a person what a good value looks like.
func why(key string, args ...any) error { return errs.New(errs.Invalid, key, args...) }

func short(v string, most int) error {
	odd := func(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) }
	if utf8.RuneCountInString(v) > most || !utf8.ValidString(v) || strings.ContainsFunc(v, odd) {
		return why("config.want.text", "most", most)
	}
	return nil
}

func setLanguage(into *locale.Lang, v string) error {
	l, ok := locale.Parse(v)
	if !ok {
		return why("config.want.language")
	}
	*into = l
	return nil
}

func setZone(into **time.Location, v string) error {
	zone, err := time.LoadLocation(v)
	if err != nil || v == "" || v == "Local" {
		return why("config.want.zone")
	}
	*into = zone
	return nil
}

// address checks host:port. The host is empty or an address of this machine,
// not a name: a name that does not resolve would keep the page from starting.
func address(v string) error {
	host, port, err := net.SplitHostPort(v)
	if err != nil {
		return why("config.want.listen")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return why("config.want.listen")
	}
	if _, err := netip.ParseAddr(host); host != "" && host != "localhost" && err != nil {
		return why("config.want.listen")
	}
	return nil
}

func setHosts(into *[]string, v string) error {
	hosts := []string{}
	for _, host := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' || r == '，' }) {
		if !hostName(host) {
			return why("config.want.host", "host", host)
		}
		hosts = append(hosts, strings.ToLower(host))
	}
	*into = hosts
	return nil
}

// hostName says whether a word is an address or a DNS name.
func hostName(word string) bool {
	if _, err := netip.ParseAddr(word); err == nil {
		return true
	}
	for label := range strings.SplitSeq(word, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range strings.ToLower(label) {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
				return false
			}
		}
	}
	return len(word) <= 253
}

func setSpan(into *time.Duration, v string, least, most time.Duration) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		return why("config.want.span", "least", span(least), "most", span(most))
	}
	*into = d
	return nil
}

// span writes a duration without the zero parts of time.Duration: "12h".
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	return strings.Replace(text, "h0m", "h", 1)
}

func setLevel(into *slog.Level, v string) error {
	switch strings.ToLower(v) {
	case "debug", "info", "warn", "error":
		if err := into.UnmarshalText([]byte(v)); err != nil {
			return fmt.Errorf("log level: %w", err)
		}
		return nil
	}
	return why("config.want.level")
}
