package split

import "slices"

// cover marks a smallest set of vertices that touches every edge: with a star
// at each of them the pairs go out in the fewest stars. By König's theorem it
// is as large as a largest matching and falls out of one: the rows that no
// alternating path from an unmatched row reaches, and the columns that one does.
func (g *graph) cover() []bool {
	m := newMatching(g)
	for m.layer() {
		for row := range g.rows {
			if m.mate[row] < 0 {
				m.augment(row)
			}
		}
	}
	marked := make([]bool, g.vertices())
	for v := range marked {
		row := small(v) < g.rows
		marked[v] = row != (m.depth[v] >= 0)
	}
	return marked
}

// matching grows by the algorithm of Hopcroft and Karp.
type matching struct {
	*graph

	mate  []int32 // of a vertex, or -1
	depth []int32 // of a vertex: steps from the nearest unmatched row, or -1
	next  []int32 // of a row: the end to try next
	queue []int32
}

// newMatching matches greedily, which leaves little to do.
func newMatching(g *graph) *matching {
	n := g.vertices()
	m := &matching{graph: g, mate: make([]int32, n), depth: make([]int32, n), next: make([]int32, g.rows), queue: make([]int32, 0, g.rows)}
	for v := range m.mate {
		m.mate[v] = -1
	}
	for row := range g.rows {
		for _, col := range g.far[g.from[row]:g.from[row+1]] {
			if m.mate[col] < 0 {
				m.mate[row], m.mate[col] = col, row
				break
			}
		}
	}
	return m
}

// layer measures how far each vertex is from an unmatched row on paths whose
// every second edge is in the matching. It reports whether such a path ends in
// an unmatched column: only then can the matching grow.
func (m *matching) layer() bool {
	m.queue = m.queue[:0]
	for v := range m.depth {
		m.depth[v] = -1
	}
	copy(m.next, m.from)
	for row := range m.rows {
		if m.mate[row] < 0 {
			m.depth[row] = 0
			m.queue = append(m.queue, row)
		}
	}
	open := false
	for at := 0; at < len(m.queue); at++ {
		row := m.queue[at]
		for _, col := range m.far[m.from[row]:m.from[row+1]] {
			if m.depth[col] >= 0 {
				continue
			}
			m.depth[col] = m.depth[row] + 1
			if m.mate[col] < 0 {
				open = true
				continue
			}
			m.depth[m.mate[col]] = m.depth[col] + 1
			m.queue = append(m.queue, m.mate[col])
		}
	}
	return open
}

// augment looks for a path from row to an unmatched column, each step one
// layer further, and swaps what is matched along it. The path is as deep as
// the layers are, so it is kept on a stack of its own.
func (m *matching) augment(root int32) {
	path := []int32{root}
	for len(path) > 0 {
		row := path[len(path)-1]
		if m.next[row] == m.from[row+1] {
			path = path[:len(path)-1]
			continue
		}
		col := m.far[m.next[row]]
		m.next[row]++
		if m.depth[col] != m.depth[row]+1 {
			continue
		}
		if m.mate[col] >= 0 {
			path = append(path, m.mate[col])
			continue
		}
		for _, row := range slices.Backward(path) {
			m.mate[row], m.mate[col], col = col, row, m.mate[row]
		}
		return
	}
}
