package quickbitest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"
)

// PrincipalType says what kind of principal an id is of.
type PrincipalType string

// The types of principal. Only a [PrincipalUser] can lose a work authorization
// again through the API.
const (
	PrincipalUser         PrincipalType = "user"
	PrincipalGroup        PrincipalType = "group"        // of users
	PrincipalOrganization PrincipalType = "organization" // all its members
	PrincipalWorkspace    PrincipalType = "workspace"    // all its members
)

// principalTypes has the types where the API numbers them.
var principalTypes = []PrincipalType{PrincipalUser, PrincipalGroup, PrincipalOrganization, PrincipalWorkspace}

func (t PrincipalType) number() int { return slices.Index(principalTypes, t) }

// Principal is whom access to a work is given to.
type Principal struct {
	Type PrincipalType
	ID   string
}

// entry is one authorization or share.
type entry struct {
	id        string
	work      string
	holder    Principal
	points    int
	until     time.Time // it is in force before; zero is for ever
	lastDay   string    // the same as a day, where it was given as one
	at        time.Time // the last time
	times     int
	requestID string
}

func (e *entry) expired(now time.Time) bool { return !e.until.IsZero() && !now.Before(e.until) }

// ledger holds entries by principal and work. There are several of one pair
// only under [RepeatDuplicate].
type ledger map[Principal]map[string][]entry

// add writes fresh down as repeated says, and returns its id. ok is false when
// it is refused because there is one already.
func (l ledger) add(fresh entry, repeated Repeat) (id string, ok bool) {
	if l[fresh.holder] == nil {
		l[fresh.holder] = map[string][]entry{}
	}
	there := l.of(fresh.holder, fresh.work, fresh.at)
	switch {
	case len(there) > 0 && repeated == RepeatRefuse:
		return "", false
	case len(there) > 0 && repeated != RepeatDuplicate:
		fresh.id, fresh.times = there[0].id, there[0].times
		there = nil
	}
	fresh.times++
	l[fresh.holder][fresh.work] = append(there, fresh)
	return fresh.id, true
}

// of returns what is in force between holder and work.
func (l ledger) of(holder Principal, work string, now time.Time) []entry {
	var out []entry
	for _, e := range l[holder][work] {
		if !e.expired(now) {
			out = append(out, e)
		}
	}
	return out
}

// remove reports whether there was anything in force to remove.
func (l ledger) remove(holder Principal, work string, now time.Time) bool {
	there := l.of(holder, work, now)
	delete(l[holder], work)
	return len(there) > 0
}

// worksOf adds to found the works that holder has something in force on.
func (l ledger) worksOf(holder Principal, now time.Time, found map[string]bool) {
	for work := range l[holder] {
		if len(l.of(holder, work, now)) > 0 {
			found[work] = true
		}
	}
}

// onWork lists what is in force on work.
func (l ledger) onWork(work string, now time.Time) []entry {
	out := make([]entry, 0, len(l))
	for holder := range l {
		out = append(out, l.of(holder, work, now)...)
	}
	return ordered(out)
}

// inForce lists what is in force.
func (l ledger) inForce(now time.Time) []entry {
	var out []entry
	for holder, works := range l {
		for work := range works {
			out = append(out, l.of(holder, work, now)...)
		}
	}
	return ordered(out)
}

func ordered(entries []entry) []entry {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(
			cmp.Compare(a.work, b.work), cmp.Compare(a.holder.Type.number(), b.holder.Type.number()),
			cmp.Compare(a.holder.ID, b.holder.ID), a.at.Compare(b.at), cmp.Compare(a.id, b.id),
		)
	})
	return entries
}

// dropHolders forgets the principals of a type with these ids.
func (l ledger) dropHolders(t PrincipalType, ids []string) {
	for _, id := range ids {
		delete(l, Principal{Type: t, ID: id})
	}
}

// dropWorks forgets the works with these ids.
func (l ledger) dropWorks(ids []string) {
	for _, works := range l {
		maps.DeleteFunc(works, func(work string, _ []entry) bool { return slices.Contains(ids, work) })
	}
}

// entryID returns the id of what the call with this request id wrote down.
func entryID(kind, requestID string) string {
	sum := sha256.Sum256([]byte(kind + " " + requestID))
	return hex.EncodeToString(sum[:16])
}
