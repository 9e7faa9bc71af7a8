package intake

import (
	"strings"

	"github.com/usher-bi/usher/internal/access"
)

// pairs finds rows about the same principal and resource. Ids are kept once
// each, and pairs as two small numbers.
type pairs struct {
	principals map[access.Principal]numbered[access.Principal]
	resources  map[access.Resource]numbered[access.Resource]
	first      map[[2]int32]int32 // index of the first row with a pair
	disputed   map[int]int        // line of a first row → line of the first one that contradicts it
}

// numbered is the kept copy of a value and its number.
type numbered[T any] struct {
	value  T
	number int32
}

func newPairs() pairs {
	return pairs{
		principals: map[access.Principal]numbered[access.Principal]{},
		resources:  map[access.Resource]numbered[access.Resource]{},
		first:      map[[2]int32]int32{},
		disputed:   map[int]int{},
	}
}

// check compares a sound row with the sound rows before it. The same change
// again makes row a duplicate; another one of the same pair is a problem, and
// disputes the first.
func (p pairs) check(row *Row, before []Row) []access.Problem {
	key := p.intern(&row.Change)
	at, seen := p.first[key]
	if !seen {
		p.first[key] = int32(len(before)) //nolint:gosec // rows are counted against Options.MaxRows
		return nil
	}
	first := before[at]
	if first.Change == row.Change {
		row.DuplicateOf = first.Line
		return nil
	}
	if _, known := p.disputed[first.Line]; !known {
		p.disputed[first.Line] = row.Line
	}
	return []access.Problem{conflict(first, *row)}
}

// intern replaces the ids of c by the kept copies, and numbers their pair.
func (p pairs) intern(c *access.Change) [2]int32 {
	principal, ok := p.principals[c.Principal]
	if !ok {
		principal.value = access.Principal{Type: c.Principal.Type, ID: strings.Clone(c.Principal.ID)}
		principal.number = int32(len(p.principals)) //nolint:gosec // no more than rows
		p.principals[principal.value] = principal
	}
	resource, ok := p.resources[c.Resource]
	if !ok {
		resource.value = access.Resource{Type: c.Resource.Type, ID: strings.Clone(c.Resource.ID)}
		resource.number = int32(len(p.resources)) //nolint:gosec // no more than rows
		p.resources[resource.value] = resource
	}
	c.Principal, c.Resource = principal.value, resource.value
	return [2]int32{principal.number, resource.number}
}

// conflict explains two different changes of one pair.
func conflict(first, row Row) access.Problem {
	a, b := first.Change, row.Change
	switch {
	case a.Operation != b.Operation:
		return problem(colAction.String(), CodeConflictingChange,
			"this row asks to %s what line %d asks to %s; keep one of the two", b.Operation, first.Line, a.Operation)
	case a.Terms.ExpiresOn != b.Terms.ExpiresOn:
		return problem(colExpiresOn.String(), CodeConflictingChange,
			"this row grants until %s what line %d grants until %s; keep one of the two", b.Terms.ExpiresOn, first.Line, a.Terms.ExpiresOn)
	default:
		return problem(colRole.String(), CodeConflictingChange,
			"this row gives the role %q where line %d gives %q; keep one of the two", b.Terms.Role, first.Line, a.Terms.Role)
	}
}
