package errs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"emrvault/appliance/errs"
)

func TestKindOf(t *testing.T) {
	inner := errs.New(errs.NotFound, "config.folder", "path", "/x")
	tests := []struct {
		name string
		err  error
		want errs.Kind
	}{
		{"none", nil, ""},
		{"plain", errors.New("x"), errs.Internal},
		{"told", inner, errs.NotFound},
		{"wrapped by fmt", fmt.Errorf("open: %w", inner), errs.NotFound},
		{"joined", errors.Join(errors.New("x"), inner), errs.NotFound},
		{"outermost wins", errs.Wrap(errs.Busy, inner, "config.read"), errs.Busy},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := errs.KindOf(test.err); got != test.want {
				t.Errorf("KindOf(%v) = %q, want %q", test.err, got, test.want)
			}
		})
	}
}

func TestErrorSpeaksEnglishAndKeepsItsCause(t *testing.T) {
	err := errs.Wrap(errs.Denied, fs.ErrPermission, "config.read", "path", "/data/emrvault.yaml")
	want := "cannot read the settings file /data/emrvault.yaml; check its rights: permission denied"
	if err.Error() != want {
		t.Errorf("Error() = %q, want %q", err.Error(), want)
	}
	if !errors.Is(err, fs.ErrPermission) {
		t.Error("the cause is lost")
	}
}
