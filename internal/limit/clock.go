package limit

import "time"

// clock tells Redis's time from this process's. An answer is old when it
// arrives, and some are older than others: the youngest of late tells best.
type clock struct {
	start   time.Time
	offsets [offsets]int64 // microseconds from Redis's time to the time since start
	seen    int
}

const (
	offsets = 48
	jumped  = 2_000_000 // microseconds: more than any answer takes
)

// hear notes what Redis's time was in an answer that came just now.
func (c *clock) hear(redis int64) {
	offset := time.Since(c.start).Microseconds() - redis
	if c.seen > 0 && offset > c.least()+jumped {
		c.seen = 0 // it was set back
	}
	c.offsets[c.seen%offsets] = offset
	c.seen++
}

func (c *clock) least() int64 {
	least := c.offsets[0]
	for _, o := range c.offsets[:min(c.seen, offsets)] {
		least = min(least, o)
	}
	return least
}

// local is an instant of Redis, here.
func (c *clock) local(redis int64) time.Time {
	return c.start.Add(time.Duration(redis+c.least()) * time.Microsecond)
}

// redis is an instant of here, by Redis's clock.
func (c *clock) redis(local time.Time) int64 {
	return local.Sub(c.start).Microseconds() - c.least()
}
