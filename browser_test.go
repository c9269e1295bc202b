package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// visitor is a person with a browser: a headless Chromium on one site. It
// remembers what the browser complained about and whom it asked.
type visitor struct {
	t         *testing.T
	ctx       context.Context
	base      string
	downloads string

	mu         sync.Mutex
	complaints []string
	foreign    []string // requests to other machines
}

// visit opens a browser for a site, or says aloud that there is none; more are
// options of the browser.
func visit(t *testing.T, base string, more ...chromedp.ExecAllocatorOption) *visitor {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("lang", "zh-CN"), chromedp.Flag("accept-lang", "zh-CN"), chromedp.WindowSize(1440, 900))
	allocator, c1 := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	ctx, c2 := chromedp.NewContext(allocator)
	ctx, c3 := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(func() { c3(); c2(); c1() })
	v := &visitor{t: t, ctx: ctx, base: base, downloads: t.TempDir()}
	if err := chromedp.Listen(ctx, v.hear); err != nil {
		t.Fatal(err)
	}
	v.do(chromedp.Navigate("about:blank"))
	_, err := chromedp.Call(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: v.downloads, EventsEnabled: new(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// needBrowser skips a story that nobody can look at.
func needBrowser(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped with -short: drives a real browser")
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("skipped: no chromium in PATH; ./build.sh test --install brings it")
	}
}

// hear collects what the browser complains about.
func (v *visitor) hear(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			v.complaints = append(v.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		v.complaints = append(v.complaints, e.ExceptionDetails.Text+" at "+e.ExceptionDetails.URL)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			v.complaints = append(v.complaints, fmt.Sprint("console: ", e.Args))
		}
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, v.base) && !strings.HasPrefix(url, "about:") && !strings.HasPrefix(url, "chrome") {
			v.foreign = append(v.foreign, url)
		}
	}
}

// calm fails the test when the browser complained about anything but what is
// expected, or asked another machine for something.
func (v *visitor) calm(expected ...string) {
	v.t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.complaints {
		if !slices.ContainsFunc(expected, func(part string) bool { return strings.Contains(c, part) }) {
			v.t.Errorf("the browser complains: %s", c)
		}
	}
	for _, url := range v.foreign {
		v.t.Errorf("the page asks another machine: %s", url)
	}
}

func (v *visitor) do(actions ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	ctx, stop := context.WithTimeout(v.ctx, 30*time.Second)
	defer stop()
	if err := chromedp.Do(ctx, actions...); err != nil {
		v.picture("failed")
		v.t.Fatalf("browser: %v\nat %s\n%s", err, v.text("title"), v.text("main"))
	}
}

func (v *visitor) open(path string) {
	v.t.Helper()
	v.do(chromedp.Navigate(v.base + path))
}

// click presses something, and waits for what it leads to.
func (v *visitor) click(what, leadsTo string) {
	v.t.Helper()
	v.do(chromedp.Click(chromedp.CSS(what)), chromedp.WaitVisible(chromedp.CSS(leadsTo)))
}

// fill types words into fields: name, value pairs.
func (v *visitor) fill(pairs ...string) {
	v.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		v.do(chromedp.SendKeys(chromedp.CSS("#"+pairs[i]), pairs[i+1]))
	}
}

// text is what an element says; nothing when there is none.
func (v *visitor) text(selector string) string {
	v.t.Helper()
	text, err := v.eval(fmt.Sprintf("(document.querySelector(%q) || {textContent: ''}).textContent", selector))
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(text), " ")
}

func (v *visitor) eval(expression string) (string, error) {
	return chromedp.Run(v.ctx, chromedp.Evaluate[string](expression))
}

// until waits for the page to come to a state.
func (v *visitor) until(what, expression string) {
	v.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool](expression)); err == nil && ok {
			return
		}
	}
	v.picture("failed")
	v.t.Fatalf("browser: %s did not come about (%s)\n%s", what, expression, v.text("main"))
}

// download presses a link and gives the bytes that arrived.
func (v *visitor) download(link string) (name string, data []byte) {
	v.t.Helper()
	begun := make(chan string, 1)
	if err := chromedp.Listen(v.ctx, func(event any) {
		if e, ok := event.(*browser.EventDownloadWillBegin); ok {
			select {
			case begun <- e.SuggestedFilename:
			default:
			}
		}
	}); err != nil {
		v.t.Fatal(err)
	}
	_, err := chromedp.Run(v.ctx, chromedp.WaitEvent(browser.DownloadProgress, func(e browser.EventDownloadProgress) bool {
		return e.State == browser.DownloadProgressStateCompleted
	}, chromedp.Click(chromedp.CSS(link))))
	if err != nil {
		v.t.Fatalf("download %s: %v", link, err)
	}
	select {
	case name = <-begun:
	case <-time.After(5 * time.Second):
		v.t.Fatal("the browser did not name the download")
	}
	if data, err = os.ReadFile(filepath.Join(v.downloads, name)); err != nil {
		v.t.Fatal(err)
	}
	return name, data
}

// picture is kept in the folder EMRVAULT_SCREENSHOTS when somebody wants to look.
func (v *visitor) picture(name string) {
	v.t.Helper()
	dir := os.Getenv("EMRVAULT_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(v.ctx, chromedp.FullScreenshot(100))
	for range 20 { // a page that is about to give way to the next has no size
		if err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
		png, err = chromedp.Run(v.ctx, chromedp.FullScreenshot(100))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "story-"+name+".png"), png, 0o644)
	}
	if err != nil {
		v.t.Errorf("browser: picture %s: %v", name, err)
	}
}
