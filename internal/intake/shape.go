package intake

import (
	"strings"

	"github.com/usher-bi/usher/internal/access"
)

// shaping are the columns whose cells say what kind of change a row asks for. A
// file has few different ones, so each is understood once.
var shaping = [...]column{colAction, colPrincipalType, colResourceType, colRole, colExpiresOn}

// shapeKey has the cells of a row under the shaping columns, as they are written.
type shapeKey [len(shaping)]string

// shape is what such cells mean: all of a change but the ids. It is sound.
type shape struct {
	key     shapeKey
	change  access.Change
	kind    int32  // of the change, in the list of all
	expires string // the cell of the expiry, filled in
	plain   bool   // the cells can be made from the change
}

// shapes are those that were met, for the sake of speed alone.
type shapes struct {
	known map[shapeKey]*shape
	last  *shape
}

func (*shapes) keyOf(l Layout, cells []string) (key shapeKey) {
	for i, c := range shaping {
		key[i] = l.get(cells, c)
	}
	return key
}

// find returns nil for a shape that was not added.
func (s *shapes) find(key shapeKey) *shape {
	if s.last != nil && s.last.key == key {
		return s.last
	}
	found := s.known[key]
	if found != nil {
		s.last = found
	}
	return found
}

// add takes in the shape of a sound change. cells are as they are to be kept. It
// reports whether they can be made from the change.
func (s *shapes) add(added shape, l Layout, cells []string) (plain bool) {
	for i, cell := range added.key {
		added.key[i] = strings.Clone(cell)
	}
	made := make([]string, l.width)
	l.setShape(made, added.change)
	added.plain, added.expires = s.keyOf(l, made) == s.keyOf(l, cells), strings.Clone(l.get(cells, colExpiresOn))
	added.change.Principal.ID, added.change.Resource.ID = "", ""
	added.change.Terms.Role = strings.Clone(added.change.Terms.Role)
	s.known[added.key], s.last = &added, &added
	return added.plain
}

// setShape writes the cells of the shaping columns.
func (l Layout) setShape(cells []string, change access.Change) {
	l.set(cells, colAction, string(change.Operation))
	l.set(cells, colPrincipalType, string(change.Principal.Type))
	l.set(cells, colResourceType, string(change.Resource.Type))
	l.set(cells, colRole, change.Terms.Role)
	l.set(cells, colExpiresOn, change.Terms.ExpiresOn.String())
}

// plain reports whether the cells outside the shaping columns can be made from
// the rest of the row.
func (h header) plain(cells []string, row current) bool {
	for _, i := range h.others {
		if cells[i] != "" {
			return false
		}
	}
	id := h.layout.get(cells, colRowID)
	return id == row.RowID && (id == "" || !isLineID(id, row.Line))
}
