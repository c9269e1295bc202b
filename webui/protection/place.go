package protection

import (
	"strconv"
	"strings"

	"emrvault/appliance/secret"
	"emrvault/backup/plan"
	"emrvault/webui/render"
)

// Kinds of place that the form knows.
const (
	placeFolder = "folder"
	placeS3     = "s3"
)

// placeForm is a new place as it is typed. Secrets are no part of it: they go
// on at once, and a form that comes back asks for them again.
type placeForm struct {
	Kind                     string
	Adopt                    bool // a repository that exists already
	Name                     string
	Location                 string // of a folder
	Endpoint, Bucket, Prefix string // of object storage
	settingsForm
}

// settingsForm is what a place needs beside its location, as it is typed.
type settingsForm struct {
	Region, Style, AccessKey, CA, Proxy, LockDays, Bandwidth, ReadBack, VerifyDays string
}

// newPlace is where a new place begins.
func newPlace() placeForm {
	return placeForm{Kind: placeFolder, settingsForm: settingsForm{
		Style: "auto", LockDays: "0", VerifyDays: strconv.Itoa(plan.DefaultVerifyDays),
	}}
}

func settingsFormOf(s plan.StorageSettings) settingsForm {
	f := settingsForm{
		Region: s.Region, Style: s.Style, AccessKey: s.AccessKey, CA: s.CA, Proxy: s.Proxy,
		LockDays: strconv.Itoa(s.LockDays), Bandwidth: s.Bandwidth, ReadBack: s.ReadBack, VerifyDays: strconv.Itoa(s.VerifyDays),
	}
	if s.VerifyDays == 0 {
		f.VerifyDays = strconv.Itoa(plan.DefaultVerifyDays)
	}
	return f
}

// readPlace takes what was sent.
func readPlace(c render.Context) placeForm {
	get := func(name string) string { return strings.TrimSpace(c.PostForm(name)) }
	f := placeForm{
		Kind: get("kind"), Adopt: get("adopt") == "1", Name: get("name"), Location: get("location"),
		Endpoint: strings.TrimRight(get("endpoint"), "/"), Bucket: get("bucket"), Prefix: strings.Trim(get("prefix"), "/"), settingsForm: readSettings(c),
	}
	if f.Kind != placeS3 {
		f.Kind = placeFolder
	}
	return f
}

func readSettings(c render.Context) settingsForm {
	get := func(name string) string { return strings.TrimSpace(c.PostForm(name)) }
	return settingsForm{
		Region: get("region"), Style: get("style"), AccessKey: get("access_key"), CA: strings.ReplaceAll(get("ca"), "\r\n", "\n"), Proxy: get("proxy"),
		LockDays: get("lock_days"), Bandwidth: get("bandwidth"), ReadBack: get("read_back"), VerifyDays: get("verify_days"),
	}
}

// secretKey is the secret of an access key; it is never sent back.
func secretKey(c render.Context) secret.Text {
	return secret.NewText(strings.TrimSpace(c.PostForm("secret_key")))
}

// Remote says that the place is object storage.
func (f placeForm) Remote() bool { return f.Kind == placeS3 }

// place reads the form; what is wrong is told by field.
func (f placeForm) place(r *render.Frame, key secret.Text) (plan.Place, problems) {
	bad := problems{}
	p := plan.Place{Name: f.Name, Location: f.Location, Settings: f.settings(r, bad, f.Remote())}
	if !plan.GoodName(f.Name) {
		bad["name"] = r.Lang.T("plan.invalid.name", "value", f.Name)
	}
	if !f.Remote() {
		required(r, bad, "location", f.Location)
		return p, bad
	}
	p.Secret = key
	required(r, bad, "bucket", f.Bucket)
	required(r, bad, "access_key", f.AccessKey)
	required(r, bad, "secret_key", key.Reveal())
	if !strings.HasPrefix(f.Endpoint, "http://") && !strings.HasPrefix(f.Endpoint, "https://") {
		bad["endpoint"] = r.Lang.T("repositories.form.endpoint-wrong")
	}
	p.Location = "s3:" + f.Endpoint + "/" + f.Bucket
	if f.Prefix != "" {
		p.Location += "/" + f.Prefix
	}
	return p, bad
}

func required(r *render.Frame, bad problems, field, value string) {
	if value == "" {
		bad[field] = r.Lang.T("plans.form.required")
	}
}

// settings reads what both kinds have, and for object storage the rest.
func (f settingsForm) settings(r *render.Frame, bad problems, remote bool) plan.StorageSettings {
	s := plan.StorageSettings{Bandwidth: f.Bandwidth, ReadBack: f.ReadBack, VerifyDays: int(whole(r, bad, "verify_days", f.VerifyDays))}
	if v := readBandwidth(r, f.Bandwidth); v.Problem != "" {
		bad["bandwidth"] = v.Problem
	}
	if remote {
		s.Region, s.Style, s.AccessKey, s.CA, s.Proxy = f.Region, f.Style, f.AccessKey, f.CA, f.Proxy
		s.LockDays = int(whole(r, bad, "lock_days", f.LockDays))
	}
	bounds(r, bad, "lock_days", plan.StorageSettings{LockDays: s.LockDays})
	bounds(r, bad, "verify_days", plan.StorageSettings{VerifyDays: s.VerifyDays})
	return s
}

// bounds puts what the book refuses beside the only field that is set.
func bounds(r *render.Frame, bad problems, field string, s plan.StorageSettings) {
	if err := s.Check(); err != nil {
		bad[field] = r.Lang.Error(err)
	}
}
