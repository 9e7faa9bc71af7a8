package limit

import "slices"

// line orders those who wait in a process. Of each lane a few are near, which is
// worth preparing; the others stand in queues of their jobs, which take turns.
type line struct {
	minShare float64
	lanes    [lanes]lane
}

type lane struct {
	jobs   []int64 // whose turn it is first
	queued map[int64][]*Turn
	far    int     // how many are queued
	near   []*Turn // in order
	credit float64 // slots that are this lane's by its minimum share
}

func newLine(minShare float64) line {
	l := line{minShare: minShare}
	for i := range l.lanes {
		l.lanes[i].queued = map[int64][]*Turn{}
	}
	return l
}

func (l *line) join(t *Turn) {
	in := &l.lanes[t.lane]
	if len(in.queued[t.job]) == 0 {
		in.jobs = append(in.jobs, t.job)
	}
	in.queued[t.job] = append(in.queued[t.job], t)
	in.far++
}

func (l *line) leave(t *Turn) {
	in := &l.lanes[t.lane]
	is := func(other *Turn) bool { return other == t }
	if t.state != queued {
		in.near = slices.DeleteFunc(in.near, is)
		return
	}
	in.far--
	in.queued[t.job] = slices.DeleteFunc(in.queued[t.job], is)
	if len(in.queued[t.job]) == 0 {
		delete(in.queued, t.job)
		in.jobs = slices.DeleteFunc(in.jobs, func(job int64) bool { return job == t.job })
	}
}

// approach lets as many come near as are worth preparing when a process gets
// that many slots in the time it takes. While others go first, few do.
func (l *line) approach(slots float64) {
	passed := false
	for i := range l.lanes {
		in := &l.lanes[i]
		k := 2 + int(slots)
		if passed {
			k = 1 + int(slots*l.minShare+0.5)
		}
		for in.far > 0 && len(in.near) < k {
			in.approach()
		}
		passed = passed || len(in.near) > 0
	}
}

// approachAlone lets who is first come near, unless somebody is.
func (l *line) approachAlone() {
	first := -1
	for i := range l.lanes {
		in := &l.lanes[i]
		if len(in.near) > 0 {
			return
		}
		if in.far > 0 && (first < 0 || in.credit >= 1) {
			first = i
		}
	}
	if first >= 0 {
		l.lanes[first].approach()
	}
}

func (in *lane) approach() {
	t := in.pop()
	t.state = nearby
	in.near = append(in.near, t)
	close(t.near)
}

// pop takes the first of the job whose turn it is. There must be one.
func (in *lane) pop() *Turn {
	job := in.jobs[0]
	in.jobs = in.jobs[1:]
	t := in.queued[job][0]
	if rest := in.queued[job][1:]; len(rest) > 0 {
		in.queued[job] = rest
		in.jobs = append(in.jobs, job)
	} else {
		delete(in.queued, job)
	}
	in.far--
	return t
}

// next returns who gets the next slot, or nil if nobody is ready.
func (l *line) next() *Turn {
	for i := lanes - 1; i > Urgent; i-- {
		if in := &l.lanes[i]; in.credit >= 1 {
			if t := in.first(); t != nil {
				return t
			}
		}
	}
	for i := range l.lanes {
		if t := l.lanes[i].first(); t != nil {
			return t
		}
	}
	return nil
}

func (in *lane) first() *Turn {
	for _, t := range in.near {
		if t.ready {
			return t
		}
	}
	return nil
}

// serve takes out who has got a slot.
func (l *line) serve(t *Turn, s slot) {
	for i := Urgent + 1; i < lanes; i++ {
		in := &l.lanes[i]
		switch {
		case in.waiting() == 0:
			in.credit = 0
		case i == t.lane:
			in.credit = max(0, in.credit-1)
		default:
			in.credit = min(2, in.credit+l.minShare)
		}
	}
	l.leave(t)
	t.state, t.slot = served, s
	close(t.granted)
}

func (in *lane) waiting() int { return in.far + len(in.near) }

func (in *lane) readies() (n int) {
	for _, t := range in.near {
		if t.ready {
			n++
		}
	}
	return n
}

// waiting counts those in each lane, without the first n: they have slots.
func (l *line) waiting(n int) (of [lanes]int) {
	for i := range l.lanes {
		of[i] = l.lanes[i].waiting()
		taken := min(n, of[i])
		of[i] -= taken
		n -= taken
	}
	return of
}

func (l *line) empty() bool { return l.waiting(0) == [lanes]int{} }

// ready counts who could go now, and how many of them are urgent.
func (l *line) ready() (all, urgent int) {
	for i := range l.lanes {
		n := l.lanes[i].readies()
		all += n
		if Lane(i) == Urgent {
			urgent = n
		}
	}
	return all, urgent
}
