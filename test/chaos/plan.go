//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/usher-bi/usher/internal/quickbi/quickbitest"
)

// plan is everything that a seed decides.
type plan struct {
	workers     int
	submissions []submission
	faults      [][]strike // side by side; those of one list one after the other
}

// strike is one fault at one moment.
type strike struct {
	at    time.Duration
	fault fault
	seed  uint64
}

const (
	people     = 24
	cliChaos   = 3 // of so many submissions one is killed
	roundEvery = 4 * time.Second
	mostRounds = 60 // of submissions, however long the run is
)

// cast is who is in the world of a random run. The gone have left the
// organization, and have every call refused that holds one of them.
func cast() (here, gone []string) { return ids("u", people), ids("gone", 4) }

// deleted is a Q&A resource that is no more: its changes fail alone.
const deleted = "deleted"

func ids(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i+1)
	}
	return out
}

// randomWorld is an organization with several kinds of resources.
func randomWorld() world {
	here, _ := cast()
	w := world{settings: []string{"QUICKBI_RATE=12/s"}, Options: quickbitest.Options{
		Users: here, QAResources: ids("q", 4), QAThemes: ids("t", 2),
		Workspaces: []quickbitest.Workspace{{ID: "ws1"}, {ID: "ws2"}},
		Latency:    quickbitest.Duration(30 * time.Millisecond), MissingUser: quickbitest.MissingRefusal,
	}}
	for _, id := range ids("d", 3) {
		w.Works = append(w.Works, quickbitest.Work{ID: id, Type: dashboard})
	}
	for _, id := range ids("p", 2) {
		w.Works = append(w.Works, quickbitest.Work{ID: id, Type: quickbitest.TypePortal})
	}
	return w
}

// everyPair lists all pairs of the world of a random run.
func everyPair() []pair {
	here, gone := cast()
	var out []pair
	for _, user := range slices.Concat(here, gone) {
		for kind, list := range map[string][]string{
			qaResource: append(ids("q", 4), deleted), qaTheme: ids("t", 2), dashboard: ids("d", 3), share: ids("p", 2), workspace: ids("ws", 2),
		} {
			for _, id := range list {
				out = append(out, pair{user, kind, id})
			}
		}
	}
	slices.SortFunc(out, compare)
	return out
}

func compare(a, b pair) int {
	return slices.Compare([]string{a.user, a.kind, a.resource}, []string{b.user, b.kind, b.resource})
}

// draw makes the plan of a seed.
func draw(seed uint64, length time.Duration) plan {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := plan{workers: 2 + rng.IntN(3)}
	every := max(roundEvery, length/mostRounds)
	for round := range max(2, int(length/every)) {
		p.submissions = append(p.submissions, drawRound(rng, round, time.Duration(round)*every)...)
	}
	for i, s := range p.submissions {
		if s.name != "" && rng.IntN(cliChaos) == 0 {
			p.submissions[i].kill = []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[rng.IntN(2)]
			p.submissions[i].after = time.Duration(rng.IntN(150)) * time.Millisecond
		}
	}
	p.faults = drawFaults(rng, length)
	return p
}

// drawRound is an older grant in the bulk lane, a newer revoke of a part of it
// in the urgent lane, and sometimes more that contradicts it.
func drawRound(rng *rand.Rand, round int, at time.Duration) []submission {
	pairs := everyPair()
	rng.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	pairs = pairs[:60+rng.IntN(60)]
	day := 0
	expires := func() string {
		day++
		return fmt.Sprintf("2098-%02d-%02d", 1+(round%12), 1+day%4)
	}
	name := func(what string) string { return fmt.Sprintf("%d-%s", round, what) }
	some := func(of []pair, share int) []pair { return of[:len(of)*share/100] }
	s := []submission{
		{at: at, name: name("nightly"), lane: "bulk", source: "nightly", rows: changes(grant, pairs, expires)},
		{at: at, name: name("revoke"), lane: "urgent", source: "hr", rows: changes(revoke, some(pairs, 30+rng.IntN(40)), expires)},
	}
	if rng.IntN(2) == 0 {
		s = append(s, submission{at: at, name: name("again"), lane: "normal", source: "admin", rows: changes(grant, some(pairs, 10+rng.IntN(20)), expires)})
	}
	if rng.IntN(2) == 0 {
		leaver := pairs[rng.IntN(len(pairs))].user
		of := slices.DeleteFunc(everyPair(), func(p pair) bool { return p.user != leaver })
		s = append(s, submission{at: at, name: name("leaver"), lane: "urgent", source: "hr", rows: changes(revoke, of, expires)})
	}
	if round > 0 && rng.IntN(2) == 0 {
		s = append(s, submission{at: at, retry: fmt.Sprintf("%d-nightly", round-1)})
	}
	if rng.IntN(4) == 0 {
		s = append(s, submission{at: at + time.Second, cancel: name("nightly")})
	}
	return s
}

// changes asks for one thing about many pairs. The days of grants differ, so
// that many calls are needed.
func changes(op string, pairs []pair, expires func() string) []change {
	out := make([]change, len(pairs))
	for i, p := range pairs {
		out[i] = change{pair: p, op: op}
		if op == grant && p.kind != workspace {
			out[i].expires = expires()
		}
	}
	return out
}
