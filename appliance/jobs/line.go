package jobs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Arguments of a line are kept as JSON and must tell the same text later. Most
// are plain; lengths of time, moments and errors are shown by the reader's
// language, so a small mark keeps what they were.

type markedArg struct {
	Duration *time.Duration `json:"duration,omitempty"`
	Time     *time.Time     `json:"time,omitempty"`
}

// maxText bounds one argument: an error may carry a whole server reply.
const maxText = 2000

func clip(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// plain makes an argument one that survives being kept.
func plain(v any) any {
	switch v := v.(type) {
	case nil, bool, int, int64, uint64, float64, json.Number, time.Duration, time.Time:
		return v
	case error:
		return clip(v.Error())
	case string:
		return clip(v)
	}
	return clip(fmt.Sprint(v))
}

func packArgs(args []any) (string, error) {
	if len(args) == 0 {
		return "null", nil
	}
	list := make([]any, len(args))
	for i, v := range args {
		switch v := v.(type) {
		case time.Duration:
			list[i] = markedArg{Duration: &v}
		case time.Time:
			list[i] = markedArg{Time: &v}
		default:
			list[i] = v
		}
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func unpackArgs(text string) ([]any, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, fmt.Errorf("read arguments of a line: %w", err)
	}
	var list []any
	for _, r := range raw {
		v, err := unpackArg(r)
		if err != nil {
			return nil, fmt.Errorf("read an argument of a line: %w", err)
		}
		list = append(list, v)
	}
	return list, nil
}

func unpackArg(raw json.RawMessage) (any, error) {
	if !bytes.HasPrefix(raw, []byte("{")) {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber() // a file count stays whole
		var v any
		err := dec.Decode(&v)
		return v, err
	}
	var marked markedArg
	if err := json.Unmarshal(raw, &marked); err != nil {
		return nil, err
	}
	switch {
	case marked.Duration != nil:
		return *marked.Duration, nil
	case marked.Time != nil:
		return *marked.Time, nil
	}
	return "", nil
}
