package split

import "slices"

// graph is the pairs of a pool as a bipartite graph. Its vertices are the rows
// and then the columns, numbered without gaps; an edge is a pair, by its place
// in the sorted input. Vertex v has the ends from[v] to from[v+1]: far is the
// vertex at the other side, ascending, and edge the pair between the two.
type graph struct {
	names     []int32 // of a vertex: its row or column in pairs
	rows      int32   // how many of the vertices are rows
	from      []int32
	far, edge []int32
	rowOf     []int32 // of an edge
	meter     *meter  // of the work that is done with it
}

// newGraph builds the graph of distinct, sorted pairs.
func newGraph(pairs []pair) *graph {
	g := &graph{far: make([]int32, 2*len(pairs)), edge: make([]int32, 2*len(pairs)), rowOf: make([]int32, len(pairs))}
	cols := g.edge[:len(pairs)] // borrowed
	for i, p := range pairs {
		if i == 0 || p.row != pairs[i-1].row {
			g.names = append(g.names, p.row)
			g.from = append(g.from, small(i))
		}
		cols[i] = p.col
	}
	g.rows = small(len(g.names))
	slices.Sort(cols)
	g.names = append(g.names, slices.Compact(cols)...)
	number := make([]int32, g.names[len(g.names)-1]+1)
	for v, name := range g.names[g.rows:] {
		number[name] = small(v)
	}
	next := make([]int32, len(g.names)-int(g.rows)+1)
	for _, p := range pairs {
		next[number[p.col]+1]++
	}
	next[0] = small(len(pairs))
	for v := 1; v < len(next); v++ {
		next[v] += next[v-1]
	}
	g.from = append(g.from, next...)
	row := int32(-1)
	for i, p := range pairs {
		if row+1 < g.rows && g.from[row+1] == small(i) {
			row++
		}
		g.rowOf[i] = row
		col := number[p.col]
		at := next[col]
		next[col]++
		g.far[i], g.edge[i] = g.rows+col, small(i)
		g.far[at], g.edge[at] = row, small(i)
	}
	return g
}

// vertices returns how many vertices there are.
func (g *graph) vertices() int32 { return small(len(g.names)) }

// degree returns how many pairs v is in.
func (g *graph) degree(v int32) int32 { return g.from[v+1] - g.from[v] }

// colOf returns the column of an edge. The ends of rows come first and in the
// order of the edges.
func (g *graph) colOf(edge int32) int32 { return g.far[edge] }

// other returns the vertex of an edge that v is not.
func (g *graph) other(edge, v int32) int32 {
	if v < g.rows {
		return g.colOf(edge)
	}
	return g.rowOf[edge]
}

// find returns the edge between two vertices that have one.
func (g *graph) find(v, w int32) int32 {
	if g.degree(v) > g.degree(w) {
		v, w = w, v
	}
	at, _ := slices.BinarySearch(g.far[g.from[v]:g.from[v+1]], w)
	return g.edge[int(g.from[v])+at]
}
