package access

import "strings"

// Changes is a list of changes in little memory. Each principal, each resource
// and each kind of change is there once, and a change is three numbers. The zero
// value is an empty list. Who reads the fields must not write to them.
type Changes struct {
	Kinds      []Kind
	Principals []Principal
	Resources  []Resource
	Cells      []Cell // of each change, in order

	known *known // what was added so far, by value; nil when nothing was, or after Seal
}

// Kind is what a change asks for, apart from whom and what it is about.
type Kind struct {
	Operation Operation
	Terms     Terms
}

// Cell is one change of a list, as indexes into its fields.
type Cell struct{ Kind, Principal, Resource int32 }

// known are the numbers of values.
type known struct {
	kinds      map[Kind]int32
	principals map[Principal]int32
	resources  map[Resource]int32
	last       int32 // principal that was looked for: many rows in a run are often about one
}

// Len returns the number of changes.
func (c *Changes) Len() int { return len(c.Cells) }

// At returns one change.
func (c *Changes) At(i int) Change {
	cell := c.Cells[i]
	kind := &c.Kinds[cell.Kind]
	return Change{Operation: kind.Operation, Principal: c.Principals[cell.Principal], Resource: c.Resources[cell.Resource], Terms: kind.Terms}
}

// Add appends a change. There must be fewer than 2³¹. Its texts are copied, so
// they may be parts of longer ones.
func (c *Changes) Add(change Change) {
	c.Cells = append(c.Cells, c.Cell(change))
}

// Cell returns what stands for a change in the list, and makes it known there
// without adding it.
func (c *Changes) Cell(change Change) Cell {
	if c.known == nil {
		c.learn()
	}
	kind, ok := c.known.kinds[Kind{change.Operation, change.Terms}]
	if !ok {
		kind = c.addKind(Kind{change.Operation, change.Terms})
	}
	principal, ok := c.known.principals[change.Principal]
	if !ok {
		principal = c.addPrincipal(change.Principal)
	}
	resource, ok := c.known.resources[change.Resource]
	if !ok {
		resource = c.addResource(change.Resource)
	}
	return Cell{kind, principal, resource}
}

// Find returns what stands for a change of a known kind, if its principal and its
// resource are both in the list, together or not.
func (c *Changes) Find(kind int32, change Change) (cell Cell, ok bool) {
	if c.known == nil {
		c.learn()
	}
	principal, ok := c.known.last, int(c.known.last) < len(c.Principals) && c.Principals[c.known.last] == change.Principal
	if !ok {
		principal, ok = c.known.principals[change.Principal]
		c.known.last = principal
	}
	resource, known := c.known.resources[change.Resource]
	return Cell{kind, principal, resource}, ok && known
}

// Seal gives up the memory that Add needs and reading does not. A change can be
// added all the same.
func (c *Changes) Seal() { c.known = nil }

// learn numbers what is there.
func (c *Changes) learn() {
	c.known = &known{
		kinds: map[Kind]int32{}, principals: make(map[Principal]int32, len(c.Principals)), resources: make(map[Resource]int32, len(c.Resources)),
	}
	for i, kind := range c.Kinds {
		c.known.kinds[kind] = number(i)
	}
	for i, principal := range c.Principals {
		c.known.principals[principal] = number(i)
	}
	for i, resource := range c.Resources {
		c.known.resources[resource] = number(i)
	}
}

func (c *Changes) addKind(kind Kind) int32 {
	kind.Terms.Role = strings.Clone(kind.Terms.Role)
	kind.Operation = Operation(strings.Clone(string(kind.Operation)))
	n := number(len(c.Kinds))
	c.Kinds, c.known.kinds[kind] = append(c.Kinds, kind), n
	return n
}

func (c *Changes) addPrincipal(p Principal) int32 {
	p.ID = strings.Clone(p.ID)
	n := number(len(c.Principals))
	c.Principals, c.known.principals[p] = append(c.Principals, p), n
	return n
}

func (c *Changes) addResource(r Resource) int32 {
	r.ID = strings.Clone(r.ID)
	n := number(len(c.Resources))
	c.Resources, c.known.resources[r] = append(c.Resources, r), n
	return n
}

// number narrows an index: millions of them are kept.
func number(i int) int32 {
	return int32(i) //nolint:gosec // there are fewer than 2³¹ changes
}
