package split

// meter tells how far splitting is, in changes: of the pool that is being split as
// many as is done of the work. How much a search will take is known as a bound
// only, so what it tells rises in leaps, and never falls. A nil meter tells nothing.
type meter struct {
	tell  func(done int)
	begun int     // changes of the pools before
	size  int     // changes of the pool that is being split
	share float64 // of its work that is done
	from  float64 // the phase of it that is under way, as shares of its work
	upto  float64
	said  int
}

// newMeter returns nil where nobody listens.
func newMeter(tell func(done int)) *meter {
	if tell == nil {
		return nil
	}
	return &meter{tell: tell}
}

// The phases of splitting a pool end at about these shares of its work.
const (
	shareOfStarts  = 0.2
	shareOfPacking = 0.8
)

// pool begins with a pool of so many changes: the one before is done.
func (m *meter) pool(size int) {
	if m == nil {
		return
	}
	m.begun += m.size
	m.size, m.share, m.from, m.upto = size, 0, 0, 0
	m.say(m.begun)
}

// phase begins with the part of the work that ends when a share of all is done.
func (m *meter) phase(upto float64) {
	if m == nil {
		return
	}
	m.at(1, 1)
	m.from, m.upto = m.upto, max(m.upto, upto)
}

// at tells how much of the phase is done.
func (m *meter) at(part, whole int) {
	if m == nil || whole <= 0 {
		return
	}
	share := m.from + (m.upto-m.from)*min(1, float64(part)/float64(whole))
	if share > m.share {
		m.share = share
		m.say(m.begun + int(share*float64(m.size)))
	}
}

func (m *meter) say(done int) {
	if done > m.said {
		m.said = done
		m.tell(done)
	}
}
