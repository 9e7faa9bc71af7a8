//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/usher-bi/usher/internal/access"
)

// scenario is what the demo makes up. Equal days give equal scenarios.
type scenario struct {
	people  []person
	before  []row // access that a first job gives, so that there is some to change
	request []row // what the demo is about

	left     []string // are asked for, but have left the organization
	seatless string   // cannot be granted anything, and spoils every call
	unlucky  string   // likewise, but for a reason that will pass

	today access.Date
	asked map[access.Pair]bool // what request speaks of
}

// row is one row of a file.
type row struct {
	id         string
	change     access.Change
	department string
	asset      string // the name of the resource
	reason     string
	ticket     string
}

// Who is what, by number among the people.
const (
	seatlessOne, unluckyOne       = 270, 80
	numLeft, firstLeft, everyLeft = 12, 11, 29
	numMoved, everyMoved          = 6, 55
	numRenewed, everyRenewed      = 20, 17
	numArchived                   = 10
)

func newScenario(today access.Date) *scenario {
	random := rand.New(rand.NewPCG(2022, 1))
	s := &scenario{today: today, people: hire(today, random), asked: map[access.Pair]bool{}}
	s.seatless, s.unlucky = s.people[seatlessOne].id, s.people[unluckyOne].id
	for i := range numLeft {
		s.left = append(s.left, s.people[firstLeft+i*everyLeft].id)
	}
	s.leave(s.people[firstLeft], s.people[firstLeft+everyLeft])
	s.move()
	s.review(random)
	s.staff(random)
	s.renew()
	number(s.request, "hr")
	number(s.before, "old")
	return s
}

// wish is a change of somebody's access to an asset.
type wish struct {
	operation access.Operation
	asset     asset
	until     access.Date
	reason    string
	ticket    string
}

func (w wish) row(p person) row {
	return row{
		change: access.Change{
			Operation: w.operation, Principal: access.Principal{Type: access.User, ID: p.id},
			Resource: w.asset.resource(), Terms: access.Terms{ExpiresOn: w.until},
		},
		department: departments[p.department].name, asset: w.asset.name, reason: w.reason, ticket: w.ticket,
	}
}

// ask puts a wish into the request, unless it speaks of the same pair already.
func (s *scenario) ask(p person, w wish) {
	r := w.row(p)
	if !s.asked[r.change.Pair()] {
		s.asked[r.change.Pair()] = true
		s.request = append(s.request, r)
	}
}

// give lets somebody have something before the request.
func (s *scenario) give(p person, a asset) {
	until := s.today.AddDays(30)
	s.before = append(s.before, wish{operation: access.Grant, asset: a, until: until, reason: "long ago"}.row(p))
}

// leave has people lose their access whom Quick BI no longer knows: there is
// nothing left to take away.
func (s *scenario) leave(people ...person) {
	for _, p := range people {
		for _, a := range needsOf(p.department) {
			s.ask(p, wish{operation: access.Revoke, asset: a, reason: "left the company", ticket: "HR-7188"})
		}
	}
}

// move has people change departments: they lose what the old one needs and the
// new one does not.
func (s *scenario) move() {
	for i := range numMoved {
		p := s.people[i*everyMoved]
		from := (p.department + 1) % len(departments)
		for _, a := range departments[from].needs {
			s.give(p, a)
			if !slices.Contains(needsOf(p.department), a) {
				s.ask(p, wish{operation: access.Revoke, asset: a, reason: "moved from " + departments[from].name, ticket: "HR-7101"})
			}
		}
	}
}

// review grants everybody what their department needs, with a gap here and
// there, and Sales an asset that has been deleted meanwhile.
func (s *scenario) review(random *rand.Rand) {
	for i, p := range s.people {
		ticket := fmt.Sprintf("IT-%d", 4401+p.department)
		for _, a := range needsOf(p.department) {
			if random.IntN(14) > 0 {
				s.ask(p, wish{operation: access.Grant, asset: a, until: p.until, reason: "access review", ticket: ticket})
			}
		}
		if p.department == 0 && i%8 == 1 {
			s.ask(p, wish{operation: access.Grant, asset: deleted, until: p.until, reason: "price round", ticket: ticket})
		}
	}
}

// staff grants the members of the projects what these need.
func (s *scenario) staff(random *rand.Rand) {
	for i, project := range projects {
		ticket := fmt.Sprintf("PM-%d", 310+i)
		for _, who := range random.Perm(len(s.people))[:project.members] {
			s.ask(s.people[who], wish{
				operation: access.Grant, asset: project.needs, until: s.today.AddDays(project.days),
				reason: "project " + project.needs.name, ticket: ticket,
			})
		}
	}
}

// renew has some people hold already what the request gives them for longer,
// and others something that it does not speak of.
func (s *scenario) renew() {
	for i := range numRenewed {
		p := s.people[2+i*everyRenewed]
		if !slices.Contains(s.left, p.id) {
			s.give(p, everybody[0])
		}
		if i < numArchived {
			s.give(p, archive)
		}
	}
}

// number gives the rows the ids that a sender would.
func number(rows []row, prefix string) {
	for i := range rows {
		rows[i].id = fmt.Sprintf("%s-%06d", prefix, i+1)
	}
}
