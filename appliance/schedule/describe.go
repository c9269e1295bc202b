package schedule

import (
	"fmt"
	"slices"
	"strings"

	"emrvault/appliance/locale"
)

// Describe tells the schedule in words for the usual forms: every day, some
// days of the week or month at stated times, every so many minutes or hours.
// Other words are shown as they are.
func (s Schedule) Describe(lang locale.Lang) string {
	if s.IsZero() {
		return lang.T("schedule.by_hand")
	}
	if s.fields[monthField].full(monthField) {
		if text, ok := s.rhythm(lang); ok {
			return text
		}
		if text, ok := s.times(lang); ok {
			return text
		}
	}
	return lang.T("schedule.words", "words", s.words)
}

// rhythm tells words that repeat through every day.
func (s Schedule) rhythm(lang locale.Lang) (string, bool) {
	if !s.anyDay || !s.anyWeekday {
		return "", false
	}
	minutes, hours := slices.Collect(s.fields[minuteField].values()), slices.Collect(s.fields[hourField].values())
	if s.fields[hourField].full(hourField) {
		if step, ok := even(minutes, 60); ok && minutes[0] == 0 {
			return lang.Plural("schedule.minutes", step), true
		}
		if len(minutes) == 1 {
			return lang.T("schedule.hourly", "minute", fmt.Sprintf("%02d", minutes[0])), true
		}
		return "", false
	}
	if step, ok := even(hours, 24); ok && hours[0] == 0 && len(minutes) == 1 && step > 1 {
		if minutes[0] == 0 {
			return lang.Plural("schedule.hours", step), true
		}
		return lang.Plural("schedule.hours_at", step, "minute", fmt.Sprintf("%02d", minutes[0])), true
	}
	return "", false
}

// even says that values stand a constant step apart, also over the turn.
func even(values []int, turn int) (int, bool) {
	if len(values) < 2 {
		return 0, false
	}
	step := values[1] - values[0]
	for i, v := range values {
		if v != values[0]+i*step {
			return 0, false
		}
	}
	return step, step*len(values) == turn
}

// maxTimes is how many times of day are listed before the words say it better.
const maxTimes = 4

// times tells words that name times of the day on some or all days.
func (s Schedule) times(lang locale.Lang) (string, bool) {
	if s.fields[minuteField].len()*s.fields[hourField].len() > maxTimes {
		return "", false
	}
	var list []string
	for hour := range s.fields[hourField].values() {
		for minute := range s.fields[minuteField].values() {
			list = append(list, fmt.Sprintf("%02d:%02d", hour, minute))
		}
	}
	days, ok := s.days(lang)
	if !ok {
		return "", false
	}
	return lang.T("schedule.at", "days", days, "times", strings.Join(list, lang.T("schedule.comma"))), true
}

func (s Schedule) days(lang locale.Lang) (string, bool) {
	switch {
	case s.anyDay && s.anyWeekday:
		return lang.T("schedule.every_day"), true
	case s.anyDay:
		return s.weekdays(lang), true
	case s.anyWeekday && s.fields[dayField].len() <= maxTimes:
		var list []string
		for day := range s.fields[dayField].values() {
			list = append(list, lang.T("schedule.month_day", "day", day))
		}
		return lang.T("schedule.every_month", "days", strings.Join(list, lang.T("schedule.comma"))), true
	}
	return "", false
}

// workdays is Monday to Friday; hospitals say "周一至周五" and mean no calendar
// of holidays by it.
const workdays set = 0b0111110

func (s Schedule) weekdays(lang locale.Lang) string {
	if s.fields[weekdayField] == workdays {
		return lang.T("schedule.workdays")
	}
	var list []string
	for day := range s.fields[weekdayField].values() {
		// A text a weekday, since "周日" and "Sundays" are not built alike.
		list = append(list, lang.T("schedule.weekday."+fmt.Sprint(day)))
	}
	return strings.Join(list, lang.T("schedule.comma"))
}
