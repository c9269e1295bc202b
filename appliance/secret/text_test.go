package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"emrvault/appliance/errs"
	"emrvault/appliance/secret"
)

func TestTextNeverShowsItself(t *testing.T) {
	const word = "hunter2秘密"
	text := secret.NewText(word)
	type hidden struct{ inner secret.Text }
	type shown struct {
		Password secret.Text
		Sheet    *secret.Sheet
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "a", text, "b", shown{Password: text}, "c", hidden{text})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", text, "b", shown{Password: text}, "c", &hidden{text})
	data, err := json.Marshal(map[string]any{"a": text, "b": shown{Password: text}})
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string]string{"log": log.String(), "json": string(data)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		outputs[verb] = fmt.Sprintf(verb, text) + fmt.Sprintf(verb, shown{Password: text}) + fmt.Sprintf(verb, hidden{text})
	}
	for name, output := range outputs {
		for _, part := range []string{"hunter2", "秘密", fmt.Sprintf("%x", "hunter2")} {
			if strings.Contains(strings.ToLower(output), part) {
				t.Errorf("%s shows the word: %s", name, output)
			}
		}
	}
	if text.Reveal() != word || fmt.Sprint(secret.Text{}) != "" {
		t.Errorf("Reveal = %q, empty shows %q", text.Reveal(), fmt.Sprint(secret.Text{}))
	}
}

func TestTextFromForm(t *testing.T) {
	var form struct{ Password secret.Text }
	if err := json.Unmarshal([]byte(`{"Password":"a b"}`), &form); err != nil || form.Password.Reveal() != "a b" {
		t.Errorf("read %q, %v, want the word", form.Password.Reveal(), err)
	}
	printed, err := json.Marshal(form)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(printed, &form); err == nil {
		t.Error("the dots of a printed form were taken for a word, want an error")
	}
}

func TestSheet(t *testing.T) {
	sheet := secret.NewSheet()
	groups := sheet.Groups()
	if len(groups) != secret.Groups || sheet.Password().Reveal() != strings.Join(groups, "-") {
		t.Fatalf("sheet has %d groups, password of length %d", len(groups), len(sheet.Password().Reveal()))
	}
	if strings.ContainsAny(strings.Join(groups, ""), "01OIL") {
		t.Errorf("sheet holds look-alikes: %v", groups)
	}
	if shown := fmt.Sprintf("%v %+v %#v", sheet, sheet, &sheet); strings.Contains(shown, groups[0]) {
		t.Errorf("a printed sheet shows itself: %s", shown)
	}
	if other := secret.NewSheet(); other.Password().Equal(sheet.Password()) {
		t.Error("two sheets are equal")
	}
	first, second := secret.AskFor()
	if first < 1 || second > secret.Groups || first >= second {
		t.Errorf("asked for groups %d and %d", first, second)
	}
	if !sheet.Confirms(first, " "+strings.ToLower(groups[first-1])) || sheet.Confirms(first, "") || sheet.Confirms(0, groups[0]) {
		t.Error("a group is confirmed by itself, in any case, and by nothing else")
	}
}

func TestTypedSheetIsUnderstood(t *testing.T) {
	const want = "2345-6789-ABCD-EFGH-JKMN-PQRS-TUVW-XYZ2"
	tests := []struct{ name, typed, complaint string }{
		{"as printed", want, ""},
		{"small letters, spaces", "2345 6789 abcd efgh jkmn pqrs tuvw xyz2\n", ""},
		{"nothing between", strings.ReplaceAll(want, "-", ""), ""},
		{"full width", "２３４５－６７８９　ａｂｃｄ－ＥＦＧＨ－ＪＫＭＮ－ＰＱＲＳ－ＴＵＶＷ－ＸＹＺ２", ""},
		{"long dashes", strings.ReplaceAll(want, "-", " — "), ""},
		{"zero width space", strings.ReplaceAll(want, "-", "\u200b"), ""},
		{"look-alike", "2345-6789-ABCD-EFGH-JKMN-PQRS-TUVW-XYZO", "character 4 of group 8"},
		{"short", "2345-6789", "32"},
		{"long", want + "-2345", "36"},
		{"empty", "", "32"},
		{"other letters", "密码", "group 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sheet, err := secret.ParseSheet(test.typed)
			if test.complaint != "" {
				if errs.KindOf(err) != errs.Invalid || !strings.Contains(err.Error(), test.complaint) {
					t.Errorf("error = %v, want one with %q", err, test.complaint)
				}
				return
			}
			if err != nil || sheet.Password().Reveal() != want {
				t.Errorf("password = %q, %v, want %q", sheet.Password().Reveal(), err, want)
			}
		})
	}
}

func FuzzParseSheet(f *testing.F) {
	f.Add("2345-6789-ABCD-EFGH-JKMN-PQRS-TUVW-XYZ2")
	f.Add("２３４５")
	f.Fuzz(func(t *testing.T, typed string) {
		sheet, err := secret.ParseSheet(typed)
		if err != nil {
			return
		}
		again, err := secret.ParseSheet(sheet.Password().Reveal())
		if err != nil || !again.Password().Equal(sheet.Password()) {
			t.Errorf("%q is read as a sheet that is not read again: %v", typed, err)
		}
	})
}
