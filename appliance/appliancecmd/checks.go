package appliancecmd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"time"

	"emrvault/appliance/certificate"
	"emrvault/appliance/config"
	"emrvault/appliance/control"
	"emrvault/appliance/errs"
	"emrvault/appliance/osservice"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
)

// checkData looks at the data folder: is it there, on a disk of this machine,
// and closed to others?
func checkData(_ context.Context, env *Env) (Level, string) {
	dir := env.Layout.Data
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Warn, env.t("doctor.data.missing", "path", dir)
	}
	if err != nil {
		return Bad, env.t("doctor.data.closed", "path", dir, "error", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return Bad, env.t("doctor.data.open", "path", dir, "mode", info.Mode().Perm())
	}
	if network := store.Network(env.Layout.Database()); network != "" {
		return Bad, env.t("doctor.data.network", "path", dir, "kind", network)
	}
	return Good, env.t("doctor.data.good", "path", dir)
}

// leastFree is the room the box wants on the disk of its data folder: its own
// database, logs and the scratch of small drills.
const leastFree = 2 << 30

func checkDisk(_ context.Context, env *Env) (Level, string) {
	room, size, err := space(existing(env.Layout.Data))
	if err != nil {
		return Warn, env.t("doctor.unknown", "error", err)
	}
	free := env.Lang.Bytes(int64(room)) // no disk has eight exabytes
	switch {
	case room < leastFree/4:
		return Bad, env.t("doctor.disk.full", "free", free)
	case room < leastFree || room < size/20:
		return Warn, env.t("doctor.disk.low", "free", free)
	}
	return Good, env.t("doctor.disk.good", "free", free)
}

// checkClock looks for a clock that was set back, by files from the future,
// and asks the system whether anybody keeps the clock right.
func checkClock(_ context.Context, env *Env) (Level, string) {
	now := env.Now()
	for _, path := range []string{env.Layout.Database(), env.Layout.Database() + "-wal"} {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(now.Add(2*time.Minute)) {
			return Bad, env.t("doctor.clock.back", "now", env.Lang.TimeZone(now), "file", env.Lang.TimeZone(info.ModTime()))
		}
	}
	if !clockKept() {
		return Warn, env.t("doctor.clock.loose", "now", env.Lang.TimeZone(now))
	}
	return Good, env.t("doctor.clock.good", "now", env.Lang.TimeZone(now))
}

func checkSettings(_ context.Context, env *Env) (Level, string) {
	if _, err := config.Load(env.Layout.Settings(), env.Environ); err != nil {
		return Bad, env.Lang.Detail(err)
	}
	return Good, env.t("doctor.settings.good")
}

// checkKey tells how the box key is protected; that it rests on the file's
// rights alone is a fact to know and no fault.
func checkKey(ctx context.Context, env *Env) (Level, string) {
	box, err := secret.Find(env.Layout)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missedKey(ctx, env)
	case err != nil:
		return Bad, env.Lang.Detail(err)
	case box.Protection() == secret.ByFile:
		return Warn, env.t(box.Protection().Key())
	}
	return Good, env.t(box.Protection().Key())
}

// missedKey tells a box before its first start from one that has lost its key.
// A database that cannot be read is for its own check to name.
func missedKey(ctx context.Context, env *Env) (Level, string) {
	err := store.Peek(ctx, env.Layout.Database(), func(tx *store.Tx) error { return secret.Missed(tx, env.Layout) })
	if errs.KindOf(err) == errs.Conflict {
		return Bad, env.Lang.Detail(err)
	}
	return Warn, env.t("doctor.key.missing")
}

func checkDatabase(ctx context.Context, env *Env) (Level, string) {
	findings, err := store.Examine(ctx, env.Layout.Database())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Warn, env.t("doctor.database.missing")
	case err != nil:
		return Bad, env.t("doctor.unknown", "error", err)
	case len(findings) > 0:
		return Bad, env.t("store.damaged", "path", env.Layout.Database(), "finding", findings[0])
	}
	return Good, env.t("doctor.database.good")
}

// checkCertificate warns when a certificate ends within 30 days: the box
// renews its own long before, so then something keeps it from doing so.
func checkCertificate(_ context.Context, env *Env) (Level, string) {
	state, err := certificate.Inspect(env.Layout.Certificates())
	if errors.Is(err, fs.ErrNotExist) {
		return Warn, env.t("doctor.certificate.missing")
	}
	if err != nil {
		return Bad, env.t("doctor.unknown", "error", err)
	}
	ends := state.Page
	if state.Authority.Before(ends) {
		ends = state.Authority
	}
	switch left := ends.Sub(env.Now()); {
	case left <= 0:
		return Bad, env.t("doctor.certificate.ended", "date", env.Lang.Date(ends))
	case left < 30*24*time.Hour:
		return Warn, env.t("doctor.certificate.ends", "date", env.Lang.Date(ends))
	}
	return Good, env.t("doctor.certificate.good", "date", env.Lang.Date(ends), "fingerprint", state.Fingerprint)
}

func checkService(ctx context.Context, env *Env) (Level, string) {
	state, err := osservice.Status(ctx)
	if err != nil {
		return Warn, env.Lang.Detail(err)
	}
	text := env.t("service.state." + string(state))
	switch state {
	case osservice.Running:
		return Good, text
	case osservice.Failed:
		return Bad, text
	}
	return Warn, text
}

func checkSocket(ctx context.Context, env *Env) (Level, string) {
	err := control.Ping(ctx, env.Layout.Socket())
	switch {
	case errors.Is(err, control.ErrNotRunning):
		return Warn, env.t("service.silent", "data", env.Layout.Data)
	case err != nil:
		return Bad, env.Lang.Detail(err)
	}
	return Good, env.t("service.answers", "data", env.Layout.Data)
}
