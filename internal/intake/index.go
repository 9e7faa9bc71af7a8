package intake

// index finds places by what is there, and holds no more than the places: about
// ten bytes for each. The zero value is empty.
type index struct {
	slots []int32 // 0 where there is nothing; else a place, which is never 0
	used  int
}

// find returns the place that was put under hash and is the same.
func (x *index) find(hash uint64, same func(place int32) bool) (place int32, ok bool) {
	if x.used == 0 {
		return 0, false
	}
	mask := uint64(len(x.slots) - 1) //nolint:gosec // there are some
	for i := hash & mask; x.slots[i] != 0; i = (i + 1) & mask {
		if same(x.slots[i]) {
			return x.slots[i], true
		}
	}
	return 0, false
}

// put adds a place that is not there. hashOf gives the hashes of those that are.
func (x *index) put(hash uint64, place int32, hashOf func(place int32) uint64) {
	if 2*x.used >= len(x.slots) {
		old := x.slots
		x.slots = make([]int32, max(1024, 2*len(old)))
		for _, other := range old {
			if other != 0 {
				x.set(hashOf(other), other)
			}
		}
	}
	x.set(hash, place)
	x.used++
}

func (x *index) set(hash uint64, place int32) {
	mask := uint64(len(x.slots) - 1) //nolint:gosec // there are some
	i := hash & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = place
}

// mix makes a hash of two numbers.
func mix(a, b int32) uint64 {
	h := uint64(uint32(a))<<32 | uint64(uint32(b)) //nolint:gosec // bits, not numbers
	h = (h ^ h>>32) * 0x9e3779b97f4a7c15
	h = (h ^ h>>29) * 0xbf58476d1ce4e5b9
	return h ^ h>>32
}
