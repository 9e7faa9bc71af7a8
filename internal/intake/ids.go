package intake

import "hash/maphash"

// ids finds the row that an id belongs to. A sound row has its place from 1 on, an
// invalid one from -1 down.
type ids struct {
	batch *Batch
	index index
	seed  maphash.Seed
}

func newIDs(b *Batch) ids { return ids{batch: b, seed: maphash.MakeSeed()} }

// lineOf returns the line of the row with that id.
func (i *ids) lineOf(id string) (line int, taken bool) {
	if id == "" {
		return 0, false
	}
	place, taken := i.index.find(i.hash(id), func(place int32) bool { return i.at(place) == id })
	switch {
	case !taken:
		return 0, false
	case place > 0:
		return int(i.batch.rows.lines[place-1]), true
	default:
		return i.batch.Invalid[-place-1].Line, true
	}
}

// add takes in the id of the row at a place, which nobody else has.
func (i *ids) add(id string, place int32) {
	i.index.put(i.hash(id), place, func(place int32) uint64 { return i.hash(i.at(place)) })
}

func (i *ids) hash(id string) uint64 { return maphash.String(i.seed, id) }

// at returns the id of the row at a place.
func (i *ids) at(place int32) string {
	if place < 0 {
		return i.batch.Invalid[-place-1].RowID
	}
	rows := &i.batch.rows
	return rows.texts.get(rows.ids.at(int(place - 1)))
}
