package split

import "math/rand/v2"

// What searching may spend, in steps. A call saved is 20 ms at 50 calls a
// second, and a step is about 8 ns on a core that has nothing else to do.
const (
	stepsPerCall   = 2_500_000
	advancePerPair = 1000
	advanceAtMost  = 40_000_000
)

// pays reports whether to search on. A search lives on what was earned. Every
// call that it saves pays for so many steps, and it begins with what packing
// earned, by the calls that it takes less than the best plain grouping, up to a
// bound. So it never costs more time than the calls that were saved would take,
// but for a small advance. It counts steps and not seconds, and the random
// numbers are always the same, so that the result is the same on every machine.
func (p *packing) pays() bool {
	return p.calls > int(p.callsOf(small(len(p.owner)))) && p.steps < p.budget()
}

// budget is how many steps were earned so far.
func (p *packing) budget() int {
	earned := min(advanceAtMost, (p.plain-p.begun)*stepsPerCall) + (p.begun-p.calls)*stepsPerCall
	advance := min(stepsPerCall, advancePerPair*len(p.owner))
	return earned + advance
}

// turns are how long one search goes on before the other may.
const (
	stepsPerTurn        = 250_000
	stepsPerTurnAndPair = 10
)

// favour is how many calls the search that suits the pairs counts as having
// saved before the first turn.
const favour = 6

// polish has the two local searches take turns while that pays. Which of them
// finds more depends on the pairs: calls that are far from full are for search,
// full ones for repacking, and that is what the first turns go by. From then on
// the next turn is for the one that saved more calls for what it spent.
func (p *packing) polish() {
	searches := [2]interface{ turn(until int) }{p.newSearch(), p.newRepacking()}
	saved, spent := [2]int{1, 1}, [2]int{1, 1} // not 0, so that shares compare
	if full := 4*len(p.owner) >= 3*p.calls*int(p.limit); full {
		saved[1] = favour
	} else {
		saved[0] = favour
	}
	begun := p.steps
	for p.pays() {
		p.meter.at(p.steps-begun, p.budget()-begun)
		next := 0
		if saved[1]*spent[0] > saved[0]*spent[1] {
			next = 1
		}
		steps, calls := p.steps, p.calls
		searches[next].turn(steps + stepsPerTurn + stepsPerTurnAndPair*len(p.owner))
		spent[next] += p.steps - steps
		saved[next] += calls - p.calls
	}
}

// dice are random numbers that are the same everywhere.
type dice struct{ rand.PCG }

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int {
	return int(d.Uint64() >> 32 * uint64(n) >> 32) //nolint:gosec // below n
}
