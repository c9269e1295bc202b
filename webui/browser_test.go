package webui

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium on a running site. Everything it complains
// about (a refused style, a failed script, a missing file) fails the test.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu         sync.Mutex
	complaints []string
	foreign    []string // requests to other machines
}

// screenshots is where pictures go when somebody wants to look at them.
var screenshots = os.Getenv("EMRVAULT_SCREENSHOTS")

func openBrowser(t *testing.T, h *house) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped with -short: drives a real browser")
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("skipped: no chromium in PATH; install the package chromium to drive the pages in a browser")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, l) }()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("lang", "zh-CN"), chromedp.Flag("accept-lang", "zh-CN"), chromedp.WindowSize(1440, 900))
	actx, c1 := chromedp.NewExecAllocator(context.Background(), options...)
	bctx, c2 := chromedp.NewContext(actx)
	bctx, c3 := context.WithTimeout(bctx, 2*time.Minute)
	b := &browser{t: t, ctx: bctx, base: "http://" + l.Addr().String()}
	t.Cleanup(func() {
		c3()
		c2()
		c1()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the site ended with %v", err)
		}
	})
	if err := chromedp.Listen(bctx, b.hear); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate("about:blank"))
	return b
}

// hear collects what the browser complains about.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.complaints = append(b.complaints, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Text+" at "+e.ExceptionDetails.URL)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.complaints = append(b.complaints, fmt.Sprint("console: ", e.Args))
		}
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, b.base) && !strings.HasPrefix(url, "about:") && !strings.HasPrefix(url, "chrome") {
			b.foreign = append(b.foreign, url)
		}
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

func (b *browser) text(selector string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.TextContent(chromedp.CSS(selector)))
	if err != nil {
		b.t.Fatalf("browser: text of %s: %v", selector, err)
	}
	return text
}

// wait lets the page come to a state that words cannot wait for.
func (b *browser) wait(what, expression string) {
	b.t.Helper()
	for range 100 {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		if err == nil && ok {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatalf("browser: %s did not come about (%s)", what, expression)
}

// look is a width and theme at which a page is looked at.
type look struct {
	name  string
	width int64
	dark  bool
}

var looks = []look{{"light", 1440, false}, {"dark", 1440, true}, {"390", 390, false}}

// show looks at the page in every look: nothing may stick out sideways. With
// EMRVAULT_SCREENSHOTS set, the pictures are kept there.
func (b *browser) show(name string) {
	b.t.Helper()
	for _, l := range looks {
		theme := "light"
		if l.dark {
			theme = "dark"
		}
		b.resize(l.width)
		b.do(chromedp.Evaluate[chromedp.Void]("document.documentElement.dataset.theme = '" + theme + "'"))
		wide, err := chromedp.Run(b.ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
		if err != nil {
			b.t.Fatal(err)
		}
		if wide > l.width {
			b.t.Errorf("%s is %d wide at %d: the page scrolls sideways", name, wide, l.width)
		}
		b.picture(name + "-" + l.name)
	}
	b.resize(1440)
}

func (b *browser) resize(width int64) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1})
	if err != nil {
		b.t.Fatalf("browser: resize: %v", err)
	}
}

func (b *browser) picture(name string) {
	b.t.Helper()
	if screenshots == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(screenshots, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Fatalf("browser: picture: %v", err)
	}
}

// print keeps a picture of the page as it comes out of a printer.
func (b *browser) print(name string) {
	b.t.Helper()
	for _, media := range []string{"print", ""} {
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media}); err != nil {
			b.t.Fatalf("browser: media %s: %v", media, err)
		}
		if media == "print" {
			b.resize(720)
			b.picture(name)
			b.resize(1440)
		}
	}
}

// calm fails the test when the browser complained about anything but what is
// expected, or asked another machine for something.
func (b *browser) calm(expected ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		if !slices.ContainsFunc(expected, func(part string) bool { return strings.Contains(c, part) }) {
			b.t.Errorf("the browser complains: %s", c)
		}
	}
	for _, url := range b.foreign {
		b.t.Errorf("the page asks another machine: %s", url)
	}
}

func css(selector string) chromedp.CSS { return chromedp.CSS(selector) }

// TestBrowserFirstStart goes through the wizard as a person does.
func TestBrowserFirstStart(t *testing.T) {
	h := newEmptyHouse(t)
	b := openBrowser(t, h)
	b.open(h.link(t))
	b.show("setup-admin")
	b.do(
		chromedp.SendKeys(css("#name"), "li.gong"), chromedp.SendKeys(css("#full_name"), "李工"),
		chromedp.SendKeys(css("#password"), goodPassword), chromedp.SendKeys(css("#again"), goodPassword),
		chromedp.Click(css("form.card button.btn-p")), chromedp.WaitVisible(css("#folder")),
	)
	b.show("setup-place")
	b.do(chromedp.Click(css("form.card button.btn-p")), chromedp.WaitVisible(css("form[action='/first-steps/sheet/new']")))
	b.show("setup-sheet-offer")
	b.do(chromedp.Click(css("form.card button.btn-p")), chromedp.WaitVisible(css("#first")))
	b.show("setup-sheet")
	b.print("setup-sheet-print")
	html, err := chromedp.Run(b.ctx, chromedp.OuterHTML(css("form.card.screen")))
	if err != nil {
		t.Fatal(err)
	}
	_, first, second := readSheet(t, html)
	b.do(
		chromedp.SendKeys(css("#first"), first), chromedp.SendKeys(css("#second"), second), chromedp.Click(css("input[name=kept]")),
		chromedp.Click(css("form.card.screen button.btn-p")), chromedp.WaitVisible(css("#main .notice-ok")),
	)
	b.open("/setup/no-such-token")
	b.open("/nothing")
	b.show("missing")
	b.calm("404 (Not Found)")
}

// TestBrowserSignIn signs in, looks around, and switches theme and language.
func TestBrowserSignIn(t *testing.T) {
	h := newHouse(t)
	b := openBrowser(t, h)
	b.open("/settings")
	b.do(chromedp.SendKeys(css("#user"), "admin"), chromedp.SendKeys(css("#password"), "wrong"), chromedp.Click(css("button.btn-p")), chromedp.WaitVisible(css("[role=alert]")))
	b.do(chromedp.Evaluate[chromedp.Void]("document.activeElement.blur()"), chromedp.KeyEvent("\t"))
	b.wait("the way past the frame as the first stop of the keyboard", "document.activeElement.className === 'skip'")
	b.show("sign-in")
	b.do(chromedp.SendKeys(css("#password"), goodPassword), chromedp.Click(css("button.btn-p")), chromedp.WaitVisible(css("#h-site")))
	for name, path := range map[string]string{"settings": "/settings", "about": "/about", "users": "/users", "user-new": "/users/new", "account": "/account", "error": "/users/77"} {
		b.open(path)
		b.show(name)
	}
	b.open("/settings")
	b.do(chromedp.Click(css("[data-theme-switch] button")))
	b.wait("the dark theme", "document.documentElement.dataset.theme === 'dark'")
	b.open("/settings")
	b.wait("the dark theme of the next page", "document.documentElement.dataset.theme === 'dark'")
	b.do(chromedp.Click(css("form[action='/language'] button")))
	b.wait("the English page", "document.documentElement.lang === 'en'")
	b.show("settings-en")
	b.do(chromedp.Click(css("details.who summary")), chromedp.WaitVisible(css(".pop")))
	b.picture("menu")
	b.do(chromedp.Click(css(".pop form button")), chromedp.WaitVisible(css("#user")))
	b.show("sign-in-en")
	b.calm("401 (Unauthorized)", "404 (Not Found)")
}

// TestBrowserJob watches a job come to its end without touching the page.
func TestBrowserJob(t *testing.T) {
	h := newHouse(t)
	b := openBrowser(t, h)
	b.open("/jobs/1")
	b.do(chromedp.SendKeys(css("#user"), "admin"), chromedp.SendKeys(css("#password"), goodPassword), chromedp.Click(css("button.btn-p")), chromedp.WaitVisible(css("#live")))
	b.show("job")
	for _, share := range []int64{73, 83} {
		h.jobs.read(t, 10)
		b.wait("the next share", fmt.Sprintf("document.querySelector('#live').textContent.indexOf('%d%%') >= 0", share))
	}
	h.jobs.finish(t)
	b.wait("the page of the ended job", "!document.querySelector('[sse-connect]') && !!document.querySelector('#live .chip-ok')")
	b.show("job-ended")
	b.open("/jobs/2")
	b.show("job-failed")
	if got := b.text(".notice-bad b"); got != "没有这个用户，可能地址输错了。" {
		t.Errorf("the failure reads %q", got)
	}
	b.calm()
}
