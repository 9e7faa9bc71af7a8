package split

import (
	"math/bits"
	"slices"
)

// patch is the part of a packing that is being rebuilt, as two bit matrices:
// for each of its lines, rows and columns, the lines across that it has an edge
// with. Edges leave it as the grids of the plan are cut out.
type patch struct {
	limit int
	side  [2]lines
	local []int32 // of a vertex: its line, from 1, or 0
	plan  []part
	lines []int32 // of the parts of the plan
	steps int

	random *dice
	noise  int // how far choices stray from what looks best, 0 to 2

	along         []int32 // the grid being cut
	common, union []uint64
	mates, shared []int32 // lines that may join, and how many of common each has
}

// lines are the rows of a patch, or its columns.
type lines struct {
	vertex []int32
	words  int      // of a line
	bits   []uint64 // words for each line
	left   []int32  // of a line: its edges
	room   []int32  // of a line: what its star has room for
}

func (l *lines) of(line int32) []uint64 {
	at := int(line) * l.words
	return l.bits[at : at+l.words : at+l.words]
}

// part is a grid of the plan: a line or more of one side, and those across.
// Spread, its edges go to the stars across and not to one call.
type part struct {
	side         int
	from, at, to int // lines[from:at] along, lines[at:to] across
	spread       bool
}

// maxLines bounds the bit matrices of a patch.
const maxLines = 1024

// draw fills the patch with the edges that are torn up.
func (c *patch) draw(s *search) bool {
	for k := range c.side {
		l := &c.side[k]
		l.vertex, l.left, l.room = l.vertex[:0], l.left[:0], l.room[:0]
	}
	for _, edge := range s.torn {
		c.side[0].enter(c.local, s.rowOf[edge])
		c.side[1].enter(c.local, s.colOf(edge))
	}
	fits := len(c.side[0].vertex)+len(c.side[1].vertex) <= maxLines
	if fits {
		for k := range c.side {
			c.side[k].open(s, len(c.side[1-k].vertex))
		}
		for _, edge := range s.torn {
			row, col := c.local[s.rowOf[edge]]-1, c.local[s.colOf(edge)]-1
			c.side[0].of(row)[col/64] |= 1 << (col % 64)
			c.side[1].of(col)[row/64] |= 1 << (row % 64)
		}
	}
	for k := range c.side {
		for _, v := range c.side[k].vertex {
			c.local[v] = 0
		}
	}
	return fits
}

// enter counts an edge of v, which becomes a line if it is none yet.
func (l *lines) enter(local []int32, v int32) {
	if local[v] == 0 {
		l.vertex = append(l.vertex, v)
		l.left = append(l.left, 0)
		local[v] = small(len(l.vertex))
	}
	l.left[local[v]-1]++
}

// open makes place for the bits, and takes the room of the stars that stay.
func (l *lines) open(s *search, across int) {
	l.words = (across + 63) / 64
	n := l.words * len(l.vertex)
	if cap(l.bits) < n {
		l.bits = make([]uint64, 2*n)
	}
	l.bits = l.bits[:n]
	clear(l.bits)
	for _, v := range l.vertex {
		room := s.room(v)
		if slices.Contains(s.pieces, v) {
			room = 0
		}
		l.room = append(l.room, room)
	}
}

// solve plans grids for all edges, and returns how many calls they take or,
// when that is more than most, some number above it.
func (c *patch) solve(edges, most int) int {
	c.plan, c.lines = c.plan[:0], c.lines[:0]
	c.noise = c.random.below(3)
	cost := 0
	for edges > 0 {
		if cost+(edges+c.limit-1)/c.limit > most+1 {
			return most + 1
		}
		side, line := c.hardest()
		took, calls := c.cut(side, line)
		edges -= took
		cost += calls
	}
	return cost
}

// hardest returns a line with few edges left: what is hard to place goes first.
func (c *patch) hardest() (side int, line int32) {
	least := 0
	salt := c.random.below(1 << 30)
	for k := range c.side {
		for i, left := range c.side[k].left {
			if left == 0 {
				continue
			}
			if key := int(left)<<3 + scatter(i, salt)>>(29-c.noise); least == 0 || key < least {
				side, line, least = k, small(i), key
			}
		}
		c.steps += len(c.side[k].left) / 3
		salt++
	}
	return side, line
}

// scatter returns a number of 32 bits that looks random for each i and salt.
func scatter(i, salt int) int {
	v := int64(i^salt) * 0x1E3779B97F4A7C15
	v = (v ^ v>>29) * 0x3F58476D1CE4E5B9
	return int(v >> 31 & (1<<32 - 1))
}

// cut plans the next grid, with a given line in it.
func (c *patch) cut(side int, line int32) (edges, calls int) {
	l, o := &c.side[side], &c.side[1-side]
	c.along = append(c.along[:0], line)
	if l.room[line] >= l.left[line] {
		l.room[line] -= l.left[line]
		return c.place(side, l.of(line), false), 0
	}
	c.common = append(c.common[:0], l.of(line)...)
	size := int(l.left[line])
	for at, word := range l.of(line) {
		for ; word != 0; word &= word - 1 {
			if i := bits.TrailingZeros64(word); o.room[at*64+i] > 0 {
				c.common[at] &^= 1 << i
				size--
			}
		}
	}
	if size == 0 {
		for at, word := range l.of(line) {
			for ; word != 0; word &= word - 1 {
				o.room[at*64+bits.TrailingZeros64(word)]--
			}
		}
		return c.place(side, l.of(line), true), 0
	}
	if c.noise > 1 && c.random.below(2) == 0 { // the easy ones too
		copy(c.common, l.of(line))
		size = int(l.left[line])
	}
	size = c.trim(o, c.widen(l, o, size))
	calls = 1
	if len(c.along) == 1 {
		calls = l.star(line, size, c.limit)
	} else if size == 1 {
		calls = o.star(first(c.common), len(c.along), c.limit)
	}
	return c.place(side, c.common, false), calls
}

// star gives so many edges to the star of a line, and returns how many calls
// more that makes it.
func (l *lines) star(line int32, edges, limit int) int {
	if room := int(l.room[line]); edges <= room {
		l.room[line] -= small(edges)
		return 0
	}
	l.room[line] += small(limit - edges)
	return 1
}

func first(set []uint64) int32 {
	for at, word := range set {
		if word != 0 {
			return small(at*64 + bits.TrailingZeros64(word))
		}
	}
	return -1
}

// widen adds lines along while that makes the grid larger, and returns how many
// are left across. Lines that have all of those across, as twins of the first
// one do, join at once: no other makes a larger grid.
func (c *patch) widen(l, o *lines, size int) int {
	c.find(o)
	for len(c.along) < c.limit {
		if whole := c.compare(l, size); whole > 0 && (len(c.along)+whole)*size <= c.limit {
			c.joinWhole(size)
		}
		at := c.best(l, c.cells(size))
		if at < 0 {
			break
		}
		line := c.mates[at]
		c.along = append(c.along, line)
		last := len(c.mates) - 1
		c.mates[at] = c.mates[last]
		c.mates = c.mates[:last]
		size = 0
		for i, word := range l.of(line) {
			c.common[i] &= word
			size += bits.OnesCount64(c.common[i])
		}
	}
	return size
}

// cells returns how many cells the grid has with so many across.
func (c *patch) cells(size int) int { return len(c.along) * min(size, c.limit/len(c.along)) }

// compare counts how many of those across each of mates has, and returns how
// many have them all. Mates with too few edges left to make the grid larger
// count as having none.
func (c *patch) compare(l *lines, size int) (whole int) {
	n, have := len(c.along)+1, c.cells(size)
	c.shared = c.shared[:0]
	for _, line := range c.mates {
		both := 0
		if n*int(l.left[line]) > have {
			set := l.of(line)[:len(c.common)]
			for j, word := range c.common {
				both += bits.OnesCount64(word & set[j])
			}
			c.steps += (l.words + 3) / 4
		}
		if both == size {
			whole++
		}
		c.shared = append(c.shared, small(both))
	}
	c.steps += len(c.mates) / 4
	return whole
}

// joinWhole moves the mates that have all of those across to those along.
func (c *patch) joinWhole(size int) {
	kept := 0
	for i, line := range c.mates {
		if int(c.shared[i]) == size {
			c.along = append(c.along, line)
			continue
		}
		c.mates[kept], c.shared[kept] = line, c.shared[i]
		kept++
	}
	c.mates, c.shared = c.mates[:kept], c.shared[:kept]
}

// find lists the lines that may join the first one along: those that share an
// edge with it.
func (c *patch) find(o *lines) {
	for len(c.union) < o.words {
		c.union = append(c.union, 0)
	}
	union := c.union[:o.words]
	clear(union)
	for at, word := range c.common {
		for ; word != 0; word &= word - 1 {
			for i, w := range o.of(small(at*64 + bits.TrailingZeros64(word))) {
				union[i] |= w
			}
			c.steps += o.words / 2
		}
	}
	union[c.along[0]/64] &^= 1 << (c.along[0] % 64)
	c.mates = appendSet(c.mates[:0], union)
}

func appendSet(list []int32, set []uint64) []int32 {
	for at, word := range set {
		for ; word != 0; word &= word - 1 {
			list = append(list, small(at*64+bits.TrailingZeros64(word)))
		}
	}
	return list
}

// best returns the place in mates of the line that makes the largest grid with
// those along, or -1 if none makes one of more than have cells. Of equals it
// takes the line with the fewest edges left, or any of them, as noise has it.
func (c *patch) best(l *lines, have int) int {
	found, score := -1, 0
	salt := c.random.below(1 << 30)
	n := len(c.along) + 1
	most := c.limit / n
	for i, line := range c.mates {
		cells := n * min(int(c.shared[i]), most)
		if cells <= have {
			continue
		}
		key := cells*64 - int(l.left[line])
		if c.noise > 0 && key+64<<c.noise > score {
			key += scatter(int(line), salt) >> (26 - c.noise)
		}
		if found < 0 || key > score {
			found, score = i, key
		}
	}
	return found
}

// trim drops those across that have the most edges left, until the grid fits a
// call. It returns how many remain.
func (c *patch) trim(o *lines, size int) int {
	salt := c.random.below(1 << 30)
	for ; size*len(c.along) > c.limit; size-- {
		worst, score := 0, 0
		for at, word := range c.common {
			for ; word != 0; word &= word - 1 {
				i := at*64 + bits.TrailingZeros64(word)
				if key := int(o.left[i])<<2 + scatter(i, salt)>>29 + 1; key > score {
					worst, score = i, key
				}
			}
		}
		c.common[worst/64] &^= 1 << (worst % 64)
		c.steps += size / 2
	}
	return size
}

// place takes the grid of along and across out of the patch and into the plan,
// and returns how many edges it has.
func (c *patch) place(side int, across []uint64, spread bool) int {
	p := part{side: side, from: len(c.lines), spread: spread}
	c.lines = append(c.lines, c.along...)
	p.at = len(c.lines)
	c.lines = appendSet(c.lines, across)
	p.to = len(c.lines)
	c.plan = append(c.plan, p)
	c.side[side].remove(c.lines[p.from:p.at], c.lines[p.at:p.to])
	c.side[1-side].remove(c.lines[p.at:p.to], c.lines[p.from:p.at])
	return (p.at - p.from) * (p.to - p.at)
}

// remove takes the edges with those across out of some lines.
func (l *lines) remove(some, across []int32) {
	for _, line := range some {
		l.left[line] -= small(len(across))
		set := l.of(line)
		for _, w := range across {
			set[w/64] &^= 1 << (w % 64)
		}
	}
}

// vertex returns the vertices along and across of a part. It may be asked once.
func (c *patch) vertex(p part) (along, across []int32) {
	along, across = c.lines[p.from:p.at], c.lines[p.at:p.to]
	for i, line := range along {
		along[i] = c.side[p.side].vertex[line]
	}
	for i, line := range across {
		across[i] = c.side[1-p.side].vertex[line]
	}
	return along, across
}
