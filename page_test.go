package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"emrvault/backup/storage/s3/s3test"
)

const pagePassword = "correct horse 42"

// administrator goes through the first start up to the recovery sheet.
func (v *visitor) administrator(setup string) {
	v.t.Helper()
	v.do(chromedp.Navigate(setup))
	v.fill("name", "li.gong", "full_name", "李工", "password", pagePassword, "again", pagePassword)
	v.picture("1-administrator")
}

// sheet takes the recovery sheet and types the two groups back that the page
// asks for. It gives the words.
func (v *visitor) sheet() (words []string) {
	v.t.Helper()
	v.click("form.card button.btn-p", "#first")
	v.picture("2-sheet")
	shown, err := v.eval("[...document.querySelectorAll('form ol.words li')].map(e => e.textContent).join(' ')")
	if err != nil {
		v.t.Fatal(err)
	}
	words = strings.Fields(shown)
	if len(words) != 8 {
		v.t.Fatalf("the sheet shows %q, want 8 groups", words)
	}
	group := regexp.MustCompile(`[1-8]`)
	for _, field := range []string{"first", "second"} {
		n := group.FindString(v.text("label[for=" + field + "]"))
		if n == "" {
			v.t.Fatalf("the page asks for %q, want a group 1 to 8", v.text("label[for="+field+"]"))
		}
		v.fill(field, words[n[0]-'1'])
	}
	v.do(chromedp.Click(chromedp.CSS("input[name=kept]")))
	v.click("form.card button.btn-p", ".verdict")
	return words
}

// TestPageStory is the first evening of an administrator, in a browser, on the
// real program: from the setup link to a proven point and a closed ticket.
func TestPageStory(t *testing.T) {
	needBrowser(t)
	t.Parallel()
	dir := t.TempDir()
	a := startBox(t, filepath.Join(dir, "data"), "demo", "--data", filepath.Join(dir, "data"), "--size", "2M", "--listen", "127.0.0.1:0")
	source := ward(t, dir, 150, true)
	v := visit(t, a.address)

	v.administrator(a.setup)
	v.click("form.card button.btn-p", "form[action='/first-steps/sheet/new']")
	words := v.sheet()
	if _, code := runAs(t, dir, strings.Join(words, "-"), "repo", "points", "-r", filepath.Join(dir, "data", "repository")); code != 0 {
		t.Errorf("the words of the sheet do not open the repository: exit code %d", code)
	}
	if class, err := v.eval("document.querySelector('.verdict').className"); err != nil || strings.TrimSpace(class) != "verdict" {
		t.Errorf("the overview is %q, %v, want it to be green: %s", class, err, v.text(".verdict"))
	}
	v.picture("3-overview")

	a.verb("plan", "add", "-f", "plan.yaml")
	v.backup()
	v.browse(source)
	v.drill()
	v.bucket()
	v.ticket()
	v.leave()
	v.calm("401 (Unauthorized)")
	if took := a.stop(); took.Seconds() > 10 {
		t.Errorf("the stop took %s, want at most 10 s", took)
	}
}

// runAs runs the program with another password of the repository.
func runAs(t *testing.T, dir, password string, args ...string) (string, int) {
	t.Helper()
	cmd := program(t, dir, []string{"EMRVAULT_PASSWORD=" + password}, args...)
	text, _ := cmd.CombinedOutput() // the exit code says all
	return string(text), cmd.ProcessState.ExitCode()
}

// backup runs the plan now and watches it without touching the page.
func (v *visitor) backup() {
	v.t.Helper()
	v.open("/plans")
	v.do(chromedp.WaitVisible(chromedp.CSS("#main table")))
	v.until("the plan in the list", "[...document.querySelectorAll('#main a')].some(a => a.textContent.trim().startsWith('emr') && /^\\/plans\\/\\d+$/.test(a.getAttribute('href')) && (a.id = 'the-plan'))")
	v.click("#the-plan", "form[action$='/run'] button")
	v.picture("4-plan")
	v.click("form[action$='/run'] button", "#live")
	v.until("live progress", "/[1-9][0-9]?%/.test(document.querySelector('#live').textContent)")
	v.picture("5-progress")
	v.until("the end of the backup", "!document.querySelector('[sse-connect]') && !!document.querySelector('#live .chip-ok')")
	v.picture("6-ended")
}

// browse walks into the new point and compares a file with the source.
func (v *visitor) browse(source string) {
	v.t.Helper()
	v.click("#main dl a[href^='/points/']", "#folder")
	for v.text("#folder a[download]:not([href*=zip])") == "" || strings.Contains(v.text("#folder .nmf"), "tmp") {
		folder := "#folder .nmf a"
		before := v.text("#folder .fm-crumb")
		v.do(chromedp.Click(chromedp.CSS(folder)))
		v.until("the next folder", "document.querySelector('#folder .fm-crumb').textContent.replace(/\\s+/g, ' ').trim() !== "+quoted(before))
		if strings.Count(v.text("#folder .fm-crumb"), " ") > 30 {
			v.t.Fatal("no file was found in the point")
		}
		if strings.Contains(v.text("#folder"), "影像-0003.dcm") {
			break
		}
	}
	v.picture("7-folder")
	name, got := v.download("#folder a[download][aria-label*='影像-0003.dcm']")
	want, err := os.ReadFile(filepath.Join(source, "影像-0003.dcm"))
	if err != nil {
		v.t.Fatal(err)
	}
	if name != "影像-0003.dcm" || !bytes.Equal(got, want) {
		v.t.Errorf("downloaded %s with %d bytes, want 影像-0003.dcm with the %d of the source", name, len(got), len(want))
	}
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "\\'") + "'" }

// drill looks at the drill that followed the backup.
func (v *visitor) drill() {
	v.t.Helper()
	v.open("/drills")
	v.click("#main tbody a[href^='/drills/']", "#sheet")
	v.until("the verdict", "document.querySelector('#sheet .stamp').className === 'stamp'")
	if got := v.text("#sheet .stamp"); got != "通过" {
		v.t.Errorf("the drill says %q, want 通过", got)
	}
	v.picture("8-drill")
}

// bucket tests a place in object storage, makes a repository there, and looks
// after it.
func (v *visitor) bucket() {
	v.t.Helper()
	if _, err := exec.LookPath("versitygw"); err != nil {
		v.t.Log("without object storage: no versitygw in PATH; ./build.sh test --install brings it")
		return
	}
	s := s3test.Start(v.t).Settings(v.t)
	v.open("/repositories/new?kind=s3")
	v.fill("name", "vault", "endpoint", s.Endpoint, "bucket", s.Bucket, "access_key", s.AccessKey, "secret_key", s.SecretKey)
	v.click("button[value=test]", "#answer table")
	if got := v.text("#answer"); !strings.Contains(got, "可以使用") || !strings.Contains(got, "没有防删除锁定") {
		v.t.Errorf("the test of a bucket without lock says %s", got)
	}
	v.do(chromedp.Click(chromedp.CSS("details.tab summary")))
	v.fill("bandwidth", "fast")
	v.until("a mistake told while it is typed", "/fast/.test(document.querySelector('#bandwidth-h .t-bad')?.textContent || '')")
	v.do(chromedp.SetValue(chromedp.CSS("#bandwidth"), "Mon-Fri 07:30-19:00 10MiB, else unlimited"))
	v.picture("9-place")
	v.click("button.btn-p[value=add]", "#care")
	v.click("#care form[action$='/care'] button", "#live")
	v.until("the end of the care", "!document.querySelector('[sse-connect]') && !!document.querySelector('#live .chip-ok')")
	v.click("#main dl a[href^='/repositories/']", "#probe .notice-ok")
	v.picture("10-repository")
}

// ticket follows a call from the phone to its end.
func (v *visitor) ticket() {
	v.t.Helper()
	v.open("/tickets")
	v.fill("reporter", "王敏", "title", "病程记录打不开")
	v.picture("11-tickets")
	v.click("#new button.btn-p", "#respond")
	v.fill("engineer", "李强", "proof", "电话 0512-0001，20:15 回电")
	v.click("#respond button.btn-p", "#close")
	v.fill("result", "缓存未刷新，已处理")
	v.do(chromedp.Click(chromedp.CSS("#close button.end")))
	v.until("a closed ticket", "!document.querySelector('#close') && !document.querySelector('#note')")
	if got := v.text("#main"); !strings.Contains(got, "已关闭") || !strings.Contains(got, "缓存未刷新") {
		v.t.Errorf("the closed ticket reads %s", got)
	}
	v.picture("12-ticket")
}

// leave switches the language, signs out, and is refused with a wrong password.
func (v *visitor) leave() {
	v.t.Helper()
	v.do(chromedp.Click(chromedp.CSS("form[action='/language'] button")))
	v.until("the English page", "document.documentElement.lang === 'en'")
	v.picture("13-english")
	v.click("details.who summary", ".pop")
	v.click("form[action='/sign-out'] button", "#user")
	v.open("/tickets")
	v.do(chromedp.WaitVisible(chromedp.CSS("#user")))
	v.fill("user", "li.gong", "password", "not the password")
	v.click("form.card button.btn-p", "[role=alert]")
	v.fill("password", pagePassword)
	v.click("form.card button.btn-p", "#new")
}

// TestPageHTTPS opens the page of a real appliance: a certificate that its own
// authority has signed, and the first start up to the recovery sheet.
func TestPageHTTPS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := serve(t, filepath.Join(dir, "data"))
	if !strings.HasPrefix(a.address, "https://") || !strings.HasPrefix(a.setup, a.address+"/setup/") {
		t.Fatalf("got the page at %q with the setup link %q", a.address, a.setup)
	}
	text, err := os.ReadFile(filepath.Join(a.data, "secret", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}}
	for path, want := range map[string]int{"/sign-in": 200, "/certificate/ca.crt": 200, "/nothing": 404, strings.TrimPrefix(a.setup, a.address): 200} {
		resp, err := client.Get(a.address + path)
		if err != nil {
			t.Fatalf("get %s: %v", path, err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != want {
			t.Errorf("get %s: status %d, %v, want %d", path, resp.StatusCode, err, want)
		}
		if got := resp.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") {
			t.Errorf("get %s: content security policy %q", path, got)
		}
	}
	needBrowser(t)
	v := visit(t, a.address, chromedp.Flag("ignore-certificate-errors-spki-list", pin(t, text)))
	v.administrator(a.setup)
	v.click("form.card button.btn-p", "#folder")
	v.click("form.card button.btn-p", "form[action='/first-steps/sheet/new']")
	v.sheet()
	v.calm()
	a.stop()
}

// pin is the key of an authority as Chromium wants it named.
func pin(t *testing.T, text []byte) string {
	t.Helper()
	block, _ := pem.Decode(text)
	authority, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(authority.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
