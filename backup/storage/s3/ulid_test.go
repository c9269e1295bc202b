package s3

import (
	"testing"
	"time"
)

func TestWritten(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	told := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, id string
		want     time.Time
	}{
		{"versitygw", "01M82VBQSKJ952T6DKVED9CW9B", time.UnixMilli(1795392134963).UTC()},
		{"not versioned", "null", told},
		{"none", "", told},
		{"Amazon", "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH", told},
		{"MinIO", "0f2a5a0c-9e5d-4f0c-8f3a-1f9d5ed4a2c6", told},
		{"as long, but lower case", "01m82vbqskj952t6dkved9cw9b", told},
		{"long ago", "00000000000000000000000000", told},
		{"in the future", "0ZZZZZZZZZZZZZZZZZZZZZZZZZ", told},
		{"more than there is", "ZZZZZZZZZZZZZZZZZZZZZZZZZZ", told},
	}
	for _, tt := range tests {
		if got := written(tt.id, told, now.AddDate(0, 0, 1)); !got.Equal(tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func FuzzWritten(f *testing.F) {
	f.Add("01M82VBQSKJ952T6DKVED9CW9B")
	f.Fuzz(func(t *testing.T, id string) {
		now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
		if got := written(id, now, now); got.Before(epoch) || got.After(now.Add(day)) {
			t.Errorf("%q: got %s", id, got)
		}
	})
}
