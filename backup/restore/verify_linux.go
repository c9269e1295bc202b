package restore

import "time"

const settableMode = settable

func sameMoment(want, got time.Time) bool { return want.Equal(got) }
