package schedule

import (
	"fmt"
	"iter"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"emrvault/appliance/errs"
)

// The five words, in their order.
const (
	minuteField = iota
	hourField
	dayField
	monthField
	weekdayField
	fieldCount
)

// field tells what a word may say; key is the text that explains it.
type field struct {
	key      string
	min, max int
	names    []string // from min upwards
}

func fields() [fieldCount]field {
	return [fieldCount]field{
		{key: "schedule.word.minute", min: 0, max: 59},
		{key: "schedule.word.hour", min: 0, max: 23},
		{key: "schedule.word.day", min: 1, max: 31},
		{key: "schedule.word.month", min: 1, max: 12, names: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
		{key: "schedule.word.weekday", min: 0, max: 7, names: strings.Fields("sun mon tue wed thu fri sat")},
	}
}

// named are the short forms, each with its five words.
func named(word string) (string, bool) {
	switch word {
	case "@hourly":
		return "0 * * * *", true
	case "@daily", "@midnight":
		return "0 0 * * *", true
	case "@weekly":
		return "0 0 * * 0", true
	case "@monthly":
		return "0 0 1 * *", true
	case "@yearly", "@annually":
		return "0 0 1 1 *", true
	}
	return "", false
}

// Parse reads five cron words (minute, hour, day, month, weekday) or a short
// form such as "@daily". An error names the word and its place. A nil zone is
// UTC.
func Parse(words string, loc *time.Location) (Schedule, error) {
	if loc == nil {
		loc = time.UTC
	}
	list := strings.Fields(words)
	if len(list) == 1 && strings.HasPrefix(list[0], "@") {
		long, ok := named(strings.ToLower(list[0]))
		if !ok {
			return Schedule{}, errs.New(errs.Invalid, "schedule.unknown_name", "word", list[0])
		}
		list = strings.Fields(long)
	}
	if len(list) != fieldCount {
		return Schedule{}, errs.New(errs.Invalid, "schedule.five_words", "words", words, "n", len(list))
	}
	s := Schedule{words: strings.Join(strings.Fields(words), " "), loc: loc}
	for i, f := range fields() {
		values, err := f.parse(list[i])
		if err != nil {
			return Schedule{}, errs.Wrap(errs.Invalid, err, f.key, "word", list[i], "position", i+1)
		}
		s.fields[i] = values
	}
	s.anyDay, s.anyWeekday = wild(list[dayField]), wild(list[weekdayField])
	return s, s.possible()
}

// wild says that a day word leaves every day open.
func wild(word string) bool { return word == "*" || word == "?" }

// possible refuses a date that never comes, as 30 February.
func (s Schedule) possible() error {
	if !s.anyWeekday {
		return nil
	}
	for month := range s.fields[monthField].values() {
		longest := time.Date(2024, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
		for day := range s.fields[dayField].values() {
			if day <= longest {
				return nil
			}
		}
	}
	return errs.New(errs.Invalid, "schedule.never", "words", s.words)
}

func (f field) parse(word string) (set, error) {
	var all set
	for part := range strings.SplitSeq(word, ",") {
		values, err := f.part(part)
		if err != nil {
			return 0, err
		}
		all |= values
	}
	if f.max == 7 && all.has(7) { // both 0 and 7 are Sunday
		all = all&^(1<<7) | 1
	}
	return all, nil
}

// part reads one member of a list: "*", "5", "1-5", "*/10", "1-20/5", "3/5".
func (f field) part(text string) (set, error) {
	span, stepText, stepped := strings.Cut(text, "/")
	low, high, err := f.span(span, stepped)
	if err != nil {
		return 0, err
	}
	step := 1
	if stepped {
		if step, err = number(stepText); err != nil {
			return 0, err
		}
		if step == 0 || step > f.max {
			return 0, fmt.Errorf("step %s does not fit", stepText)
		}
	}
	var values set
	for v := low; v <= high; v += step {
		values |= 1 << v
	}
	return values, nil
}

func (f field) span(text string, stepped bool) (low, high int, err error) {
	if wild(text) {
		return f.min, f.top(), nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if low, err = f.value(from); err != nil {
		return 0, 0, err
	}
	switch {
	case ranged:
		if high, err = f.value(to); err != nil {
			return 0, 0, err
		}
	case stepped:
		high = f.top()
	default:
		high = low
	}
	if high < low {
		return 0, 0, fmt.Errorf("%s ends before it begins", text)
	}
	return low, high, nil
}

// top is the largest value a star means: for weekdays Saturday, since 7 is
// Sunday again.
func (f field) top() int {
	if f.max == 7 {
		return 6
	}
	return f.max
}

func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	n, err := number(text)
	if err != nil {
		return 0, err
	}
	if n < f.min || n > f.max {
		return 0, fmt.Errorf("%d is not between %d and %d", n, f.min, f.max)
	}
	return n, nil
}

func number(text string) (int, error) {
	if text == "" || len(text) > 4 || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return strconv.Atoi(text)
}

// set holds the values of a word, one bit each.
type set uint64

func (s set) has(v int) bool { return s&(1<<v) != 0 }

func (s set) len() int { return bits.OnesCount64(uint64(s)) }

func (s set) full(i int) bool {
	f := fields()[i]
	return s.len() == f.top()-f.min+1
}

// values gives the members in order.
func (s set) values() iter.Seq[int] {
	return func(yield func(int) bool) {
		for rest := s; rest != 0; rest &= rest - 1 {
			if !yield(bits.TrailingZeros64(uint64(rest))) {
				return
			}
		}
	}
}
