package intake

import (
	"github.com/usher-bi/usher/internal/access"
)

// pairs finds rows about the same principal and resource.
type pairs struct {
	first    index       // places of the first rows with a pair, from 1 on
	disputed map[int]int // line of a first row → line of the first one that contradicts it
}

func newPairs() pairs { return pairs{disputed: map[int]int{}} }

// check compares a sound row with the sound rows before it. The same change
// again makes row a duplicate; another one of the same pair is a problem, and
// disputes the first.
func (p *pairs) check(row *current, before *columns) []access.Problem {
	if !row.sound {
		row.cell = before.changes.Cell(row.Change)
	}
	hash := mix(row.cell.Principal, row.cell.Resource)
	place, seen := p.first.find(hash, func(place int32) bool {
		other := before.changes.Cells[place-1]
		return other.Principal == row.cell.Principal && other.Resource == row.cell.Resource
	})
	if !seen {
		p.first.put(hash, small(len(before.lines)+1), func(place int32) uint64 {
			other := before.changes.Cells[place-1]
			return mix(other.Principal, other.Resource)
		})
		return nil
	}
	at := place - 1
	line := int(before.lines[at])
	if before.changes.Cells[at] == row.cell {
		row.DuplicateOf = line
		return nil
	}
	if _, known := p.disputed[line]; !known {
		p.disputed[line] = row.Line
	}
	return []access.Problem{conflict(Row{Line: line, Change: before.changes.At(int(at))}, row.Row)}
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
