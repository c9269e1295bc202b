package s3test

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
)

// Fault is what the proxy does to a request.
type Fault string

// The faults there are. Some mean nothing to some requests (nothing can be
// torn where nothing is sent); then the request passes unharmed.
const (
	None       Fault = ""
	SlowDown   Fault = "503"          // an answer that asks for patience, with Retry-After
	Cut        Fault = "cut"          // the connection ends before the server hears of it
	CutBody    Fault = "cut body"     // the answer ends in the middle
	Slow       Fault = "slow"         // the answer comes late
	Torn       Fault = "torn"         // half of an upload arrives
	Lost       Fault = "lost"         // the server does its work, the answer is lost
	Twice      Fault = "twice"        // the request arrives two times
	Stale      Fault = "stale"        // a listing as it was before
	WrongBack  Fault = "wrong back"   // one bit of what is read is turned, this time
	WrongStore Fault = "wrong stored" // one bit of what is written is turned, until it is written anew
)

// Faults are all of them.
func Faults() []Fault {
	return []Fault{SlowDown, Cut, CutBody, Slow, Torn, Lost, Twice, Stale, WrongBack, WrongStore}
}

// Rule says which requests a fault meets.
type Rule struct {
	Fault  Fault
	Method string // empty: any
	Path   string // a part of the path and query, like "/data/"; empty: any
	Skip   int    // so many matching requests pass first
	Times  int    // then so many are met; zero: all that follow
}

func (r Rule) meets(request *http.Request) bool {
	return (r.Method == "" || r.Method == request.Method) && strings.Contains(request.URL.RequestURI(), r.Path)
}

// plan decides what becomes of each request.
type plan struct {
	sync.Mutex
	rules  []Rule
	dice   *rand.Rand
	share  float64
	faults []Fault

	requests map[string]int // by method
	met      map[Fault]int
}

// next chooses the fault for a request: the first rule that meets it, or else
// what the dice say.
func (p *plan) next(r *http.Request) Fault {
	p.Lock()
	defer p.Unlock()
	p.requests[r.Method]++
	for i := range p.rules {
		rule := &p.rules[i]
		if !rule.meets(r) || rule.Times < 0 {
			continue
		}
		if rule.Skip > 0 {
			rule.Skip--
			continue
		}
		if rule.Times--; rule.Times == 0 {
			rule.Times = spent
		} else if rule.Times < 0 {
			rule.Times = 0
		}
		return rule.Fault
	}
	if p.dice != nil && len(p.faults) > 0 && p.dice.Float64() < p.share {
		return p.faults[p.dice.IntN(len(p.faults))]
	}
	return None
}

// spent marks a rule that has met all it was to meet.
const spent = -1

func (p *plan) note(f Fault) {
	p.Lock()
	defer p.Unlock()
	if f != None {
		p.met[f]++
	}
}

// Program adds rules; of several that meet a request the first decides.
func (p *Proxy) Program(rules ...Rule) {
	p.plan.Lock()
	defer p.plan.Unlock()
	p.plan.rules = append(p.plan.rules, rules...)
}

// Random lets a share of the requests that no rule meets, from 0 to 1, meet
// one of the faults. The same seed and the same order of requests bring the
// same faults.
func (p *Proxy) Random(seed uint64, share float64, faults ...Fault) {
	p.plan.Lock()
	defer p.plan.Unlock()
	p.plan.dice, p.plan.share, p.plan.faults = rand.New(rand.NewPCG(seed, seed)), share, faults //nolint:gosec // repeatable on purpose
}

// Calm ends all faults but those already stored.
func (p *Proxy) Calm() {
	p.plan.Lock()
	defer p.plan.Unlock()
	p.plan.rules, p.plan.dice = nil, nil
}

// Requests tells how many requests came, of one method or, with "", of all.
func (p *Proxy) Requests(method string) (n int) {
	p.plan.Lock()
	defer p.plan.Unlock()
	for m, count := range p.plan.requests {
		if method == "" || m == method {
			n += count
		}
	}
	return n
}

// Met tells how many requests met a fault.
func (p *Proxy) Met(f Fault) int {
	p.plan.Lock()
	defer p.plan.Unlock()
	return p.plan.met[f]
}
