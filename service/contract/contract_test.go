package contract_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"emrvault/appliance/locale"
	"emrvault/service/contract"
)

// TestCatalogue holds the catalogue against a sheet that was written by hand
// from the hospital's requirements: number, name, response, channels, clauses.
func TestCatalogue(t *testing.T) {
	var b strings.Builder
	for _, i := range contract.Items() {
		var channels []string
		for _, c := range i.Channels {
			channels = append(channels, c.Title(locale.Chinese))
		}
		fmt.Fprintf(&b, "%d | %s | %s | %s | %s | %s\n", i.No, i.Part.Title(locale.Chinese), i.Title(locale.Chinese),
			i.Response.Title(locale.Chinese), strings.Join(channels, " "), strings.Join(i.Clauses, " "))
	}
	for _, m := range contract.Modules() {
		fmt.Fprintf(&b, "%s | %s\n", m.Code, m.Title(locale.Chinese))
	}
	want, err := os.ReadFile(filepath.Join("testdata", "catalogue.txt"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(b.String(), "\n")
	for i, line := range strings.Split(string(want), "\n") {
		if i >= len(got) || got[i] != line {
			t.Errorf("line %d = %q, want %q", i+1, slices.Concat(got, make([]string, i+1))[i], line)
		}
	}
}

func TestEverythingHasAName(t *testing.T) {
	for _, lang := range locale.Languages() {
		for _, i := range contract.Items() {
			if !lang.Has("item."+i.Key) || !lang.Has("item.part."+string(i.Part)) || !lang.Has("item.response."+string(i.Response.Rule)) {
				t.Errorf("item %d lacks a text in %s", i.No, lang)
			}
		}
		for _, m := range contract.Modules() {
			if !lang.Has("module." + m.Code) {
				t.Errorf("module %s lacks a text in %s", m.Code, lang)
			}
		}
		for _, c := range contract.Channels() {
			if !lang.Has("channel." + string(c)) {
				t.Errorf("channel %s lacks a text in %s", c, lang)
			}
		}
	}
}

// TestOnsite holds which items are served at the hospital: the channel
// that costs most and is argued about first.
func TestOnsite(t *testing.T) {
	var onsite []int
	for _, i := range contract.Items() {
		if i.Allows(contract.Onsite) {
			onsite = append(onsite, i.No)
		}
	}
	if want := []int{6, 7, 8, 9, 10, 11, 14}; !slices.Equal(onsite, want) {
		t.Errorf("on site: items %v, want %v", onsite, want)
	}
}

func TestLookup(t *testing.T) {
	for _, no := range []int{-1, 0, 15} {
		if i, ok := contract.ItemOf(no); ok {
			t.Errorf("item %d = %+v, want none", no, i)
		}
	}
	for no := 1; no <= 14; no++ {
		if i, ok := contract.ItemOf(no); !ok || i.No != no {
			t.Errorf("item %d = %+v, %v", no, i, ok)
		}
	}
	for code, want := range map[string]bool{"M01": true, "M21": true, "M22": false, "M00": false, "m01": false, "": false} {
		if _, ok := contract.ModuleOf(code); ok != want {
			t.Errorf("module %q known = %v, want %v", code, ok, want)
		}
	}
	if contract.Channel("fax").Known() || !contract.QQ.Known() {
		t.Error("channels known are wrong")
	}
}
