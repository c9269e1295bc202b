package protection

import (
	"strings"

	"emrvault/backup"
	"emrvault/backup/storage/limit"
	"emrvault/webui/render"
)

// bandwidthView is a bandwidth by the hour as it was understood.
type bandwidthView struct{ Words, Text, Problem string }

func readBandwidth(f *render.Frame, words string) bandwidthView {
	v := bandwidthView{Words: words}
	if words == "" {
		return v
	}
	s, err := limit.ParseSchedule(words, f.Now.Location())
	if err != nil {
		v.Problem = f.Lang.T("repositories.form.bandwidth-wrong", "detail", reason(err))
		return v
	}
	v.Text = f.Lang.T("repositories.form.bandwidth-now", "words", s.String(), "rate", rateNow(f, s))
	return v
}

// reason is what an error says without the words that stand in the field, and
// without the sentinel at its end.
func reason(err error) string {
	text := strings.TrimSuffix(err.Error(), ": "+backup.ErrInvalid.Error())
	if _, rest, ok := strings.Cut(text, `": `); ok {
		return rest
	}
	return text
}

func rateNow(f *render.Frame, s limit.Schedule) string {
	rate := s.Rate(f.Now)
	if rate == 0 {
		return f.Lang.T("repositories.form.unlimited")
	}
	return f.Lang.T("repositories.form.rate", "rate", f.Lang.Bytes(rate))
}

// Bandwidth is GET /repositories/bandwidth: the words typed so far, told back.
func (p *RepositoryPages) Bandwidth(c render.Context) {
	v := readBandwidth(render.FrameOf(c), strings.TrimSpace(c.Query("bandwidth")))
	p.render.Fragment(c, "protection/repository_new", "bandwidth-told", v)
}
