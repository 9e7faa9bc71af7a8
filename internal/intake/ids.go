package intake

import "hash/maphash"

// ids finds the row that an id belongs to. A sound row has its place from 1 on, an
// invalid one from -1 down.
type ids struct {
	batch   *Batch
	invalid []invalidID
	index   index
	seed    maphash.Seed
}

// invalidID is the id of an invalid row.
type invalidID struct {
	id   text
	line int32
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
		return int(i.invalid[-place-1].line), true
	}
}

// add takes in the id of the row at a place, which nobody else has.
func (i *ids) add(id string, place int32) {
	i.index.put(i.hash(id), place, func(place int32) uint64 { return i.hash(i.at(place)) })
}

// addInvalid is add for an invalid row.
func (i *ids) addInvalid(id string, line int) {
	i.invalid = append(i.invalid, invalidID{i.batch.rows.texts.keep(id), small(line)})
	i.add(id, small(-len(i.invalid)))
}

func (i *ids) hash(id string) uint64 { return maphash.String(i.seed, id) }

// at returns the id of the row at a place.
func (i *ids) at(place int32) string {
	if place < 0 {
		return i.batch.rows.texts.get(i.invalid[-place-1].id)
	}
	rows := &i.batch.rows
	return rows.texts.get(rows.ids.at(int(place - 1)))
}
