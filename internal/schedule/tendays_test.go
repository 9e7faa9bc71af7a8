package schedule

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/store"
)

// diary is a calendar that is written down, with what becomes of its slots.
type diary struct {
	of      store.Schedule
	slots   []time.Time
	planned time.Time
	runs    map[int64]store.RunState // by slot
	passed  int                      // slots that runs say were passed over
}

// newDiary asks of each minute what the clock on the wall shows: every so many
// minutes is a slot, when it is shown first. Times that were never shown count at the
// end of the gap, where the first time after it does anyway.
func newDiary(t *testing.T, s store.Schedule, every int, from, until time.Time) *diary {
	t.Helper()
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		t.Fatal(err)
	}
	d := &diary{of: s, planned: from, runs: map[int64]store.RunState{}}
	shown := map[string]bool{}
	for at := from.Add(time.Minute); at.Before(until); at = at.Add(time.Minute) {
		wall := at.In(zone)
		label := wall.Format(time.DateTime)
		if s.Cron == everyMinute || wall.Minute()%every == 0 && !shown[label] {
			d.slots = append(d.slots, at)
		}
		shown[label] = true
	}
	return d
}

// look says what becomes of the slots up to now by the policy of the schedule.
func (d *diary) look(now time.Time) {
	if now.Before(d.planned) {
		d.planned = now
		return
	}
	first, end := d.after(d.planned), d.after(now)
	come := end - first
	if come == 0 {
		return
	}
	newest := d.slots[end-1]
	d.planned = newest
	state := store.RunDue
	if d.of.CatchUp == store.CatchUpNone && now.Sub(newest) > 5*time.Minute {
		state = store.RunMissed
	}
	before, known := d.runs[newest.Unix()]
	if !known {
		d.passed += come - 1
	}
	if !known || before == store.RunMissed && state == store.RunDue {
		d.runs[newest.Unix()] = state
	}
}

// after is the place of the first slot after t.
func (d *diary) after(t time.Time) int {
	return sort.Search(len(d.slots), func(i int) bool { return d.slots[i].After(t) })
}

const everyMinute = "* * * * *"

// Three workers look at schedules every minute of ten days, often all at once. They
// are stopped for hours, killed in the middle, started anew, and the clock is set
// forth and back by hours. In these days Berlin loses an hour and Sydney gains one.
// Each slot is run exactly once, or is passed over or missed by the policy of its
// schedule.
func TestEverySlotOnceInTenDays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	start := time.Date(2027, 3, 27, 0, 0, 0, 0, time.UTC)
	end := start.Add(10 * 24 * time.Hour)
	diaries := w.tenDays(start, end.Add(4*time.Hour))
	chance := rand.New(rand.NewPCG(1, 2))
	var told, killed atomic.Int64 // slots that were said to be due; workers that could not say so
	runners := []*Runner{w.newRunner(), w.newRunner(), w.newRunner()}
	look := func(ctx context.Context, r *Runner, now time.Time) {
		n, err := r.plan(ctx, now)
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
		told.Add(int64(n))
	}
	minutes := 0
	for w.now = start; w.now.Before(end); minutes++ {
		w.now = w.now.Add(time.Minute)
		some := 1
		switch n := chance.IntN(2000); {
		case n == 0: // nobody runs for a while
			w.now = w.now.Add(time.Duration(chance.IntN(180)) * time.Minute)
		case n < 3: // the clock is set back
			w.now = w.now.Add(-time.Duration(chance.IntN(120)) * time.Minute)
		case n < 5: // or forth
			w.now = w.now.Add(time.Duration(chance.IntN(150)) * time.Minute)
		case n < 20: // one is started anew
			runners[chance.IntN(3)] = w.newRunner()
		case n < 30: // one is killed while the others work
			some = 3
			killed.Add(1)
			dying, cancel := context.WithTimeout(t.Context(), time.Duration(chance.IntN(3000))*time.Microsecond)
			look(dying, w.newRunner(), w.now)
			cancel()
		case n < 300:
			some = 3
		}
		now := w.now
		for _, d := range diaries {
			d.look(now)
		}
		var all sync.WaitGroup
		for _, r := range runners[:some] {
			all.Go(func() { look(t.Context(), r, now) })
		}
		all.Wait()
		chance.Shuffle(3, func(i, j int) { runners[i], runners[j] = runners[j], runners[i] })
	}
	due := 0
	for _, d := range diaries {
		due += w.compare(d)
	}
	if n, k := int(told.Load()), int(killed.Load()); n > due || n < due-len(diaries)*k || k == 0 {
		t.Errorf("slots were said to be due %d times, with %d workers killed, and %d runs are due", n, k, due)
	}
	if minutes < 13_000 || len(diaries[0].runs) < 13_000 {
		t.Errorf("%d minutes, and %d slots of a schedule of every minute", minutes, len(diaries[0].runs))
	}
}

// tenDays adds the schedules as of a later time.
func (w *world) tenDays(from, until time.Time) (diaries []*diary) {
	w.t.Helper()
	for _, of := range []struct {
		name, cron string
		every      int
		zone       string
		catchUp    store.CatchUp
	}{
		{"a-minute", everyMinute, 1, "UTC", store.CatchUpOnce},
		{"berlin-once", "*/5 0-23 * * *", 5, "Europe/Berlin", store.CatchUpOnce},
		{"berlin-none", "*/30 0-23 * * *", 30, "Europe/Berlin", store.CatchUpNone},
		{"sydney-none", "*/30 0-23 * * *", 30, "Australia/Sydney", store.CatchUpNone},
	} {
		s := nightly(store.RenewSchedule, "")
		s.Name, s.Cron, s.Timezone, s.CatchUp = of.name, of.cron, of.zone, of.catchUp
		diaries = append(diaries, newDiary(w.t, w.add(s), of.every, from, until))
	}
	conn, err := pgx.Connect(w.t.Context(), w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(w.t.Context())) }()
	if _, err := conn.Exec(w.t.Context(), `UPDATE schedules SET planned_until = $1`, from); err != nil {
		w.t.Fatal(err)
	}
	return diaries
}

// compare holds the runs of a schedule against its diary, and counts those that are
// due.
func (w *world) compare(d *diary) (due int) {
	w.t.Helper()
	runs, err := w.Runs(w.t.Context(), d.of.ID, 1_000_000)
	if err != nil {
		w.t.Fatal(err)
	}
	got, passed, missed := map[int64]store.RunState{}, 0, 0
	for _, r := range runs {
		got[r.Slot.Unix()] = r.State
		passed += r.Missed
		switch r.State {
		case store.RunDue:
			due++
		case store.RunMissed:
			missed++
		default:
			w.t.Errorf("%s: the run of %v is %s", d.of.Name, r.Slot, r.State)
		}
	}
	if len(got) != len(runs) || passed != d.passed || passed == 0 || (missed > 0) != (d.of.CatchUp == store.CatchUpNone) {
		w.t.Errorf("%s: %d runs of %d slots, %d missed, %d passed over, want %d", d.of.Name, len(runs), len(got), missed, passed, d.passed)
	}
	if diff := gocmp.Diff(d.runs, got); diff != "" {
		w.t.Errorf("%s: slots (-want +got):\n%s", d.of.Name, diff)
	}
	return due
}

// overlapping is a schedule, and what is to become of its slots.
type overlapping struct {
	of   store.Schedule
	want []string // a slot each
	open bool     // a job of it has not ended
}

// Three workers submit a file twice a day for ten days, under each policy, while the
// jobs of some slots take days and nobody is there for some. Each slot leads to one
// job, or to none by policy.
func TestOverlapInTenDays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var all []*overlapping
	for _, overlap := range []store.Overlap{store.OverlapSkip, store.OverlapQueue} {
		for _, catchUp := range []store.CatchUp{store.CatchUpOnce, store.CatchUpNone} {
			s := nightly(store.FileSchedule, fmt.Sprintf("%s-%s/people.csv", overlap, catchUp))
			s.Name, s.Cron, s.Overlap, s.CatchUp = fmt.Sprintf("%s-%s", overlap, catchUp), "0 */12 * * *", overlap, catchUp
			s.Guards, s.AllowStale, s.FileWithin = store.Guards{}, true, time.Hour
			all = append(all, &overlapping{of: w.add(s)})
		}
	}
	chance := rand.New(rand.NewPCG(3, 4))
	slot := w.now.Truncate(12 * time.Hour)
	for end := w.now.Add(10 * 24 * time.Hour); w.now.Before(end); {
		passed, late := 0, time.Minute
		if chance.IntN(4) == 0 { // nobody is there for a while
			passed, late = chance.IntN(3), time.Duration(1+chance.IntN(100))*time.Minute
		}
		slot = slot.Add(time.Duration(1+passed) * 12 * time.Hour)
		w.now = slot.Add(late)
		for _, o := range all {
			state := store.RunDone
			switch {
			case late > onTime && o.of.CatchUp == store.CatchUpNone:
				state = store.RunMissed
			case o.of.Overlap == store.OverlapSkip && o.open:
				state = store.RunSkipped
			}
			o.want = append(o.want, fmt.Sprint(slot.Unix(), " ", state, " ", passed))
			o.open = o.open || state == store.RunDone
		}
		w.threeRounds(all)
		if chance.IntN(5) < 3 { // the jobs end, and with them what waits for them
			w.finish(all)
			for _, o := range all {
				o.open = false
			}
		}
	}
	w.finish(all)
	jobs := map[string]bool{}
	for _, o := range all {
		got := w.statesOf(o.of, jobs)
		if diff := gocmp.Diff(o.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", o.of.Name, diff)
		}
	}
	if n := len(w.jobs()); n != len(jobs) || n < 20 {
		t.Errorf("%d jobs, and %d of them are of runs", n, len(jobs))
	}
}

// threeRounds has three workers do rounds beside each other, with a file for each
// schedule that may want one.
func (w *world) threeRounds(all []*overlapping) {
	w.t.Helper()
	for _, o := range all {
		w.deliver(o.of.Path, rows("grant", fmt.Sprint(o.of.Name, w.now.Unix())))
	}
	now := w.now
	var workers sync.WaitGroup
	for range 3 {
		r := w.newRunner()
		workers.Go(func() {
			for _, c := range []struct {
				name string
				do   func(context.Context) error
			}{
				{"slots", func(ctx context.Context) error { _, err := r.plan(ctx, now); return err }},
				{"schedules", func(ctx context.Context) error { return r.carryOut(ctx, now) }},
			} {
				if _, err := w.Alone(w.t.Context(), c.name, c.do); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	if err := w.runner.round(w.t.Context(), now); err != nil { // whoever came too late for the lock did nothing
		w.t.Error(err)
	}
}

// finish has all jobs end, and those that wait for them, until no run is open.
func (w *world) finish(all []*overlapping) {
	w.t.Helper()
	for range 100 {
		open, err := w.OpenRuns(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if len(open) == 0 {
			return
		}
		if err := w.redis.FlushDB(w.t.Context()).Err(); err != nil { // nobody takes tasks out of it, and it would be full
			w.t.Fatal(err)
		}
		w.work()
		w.threeRounds(all)
	}
	w.t.Fatal("runs stay open")
}

// statesOf lists what became of the slots of a schedule, the oldest first, and notes
// their jobs.
func (w *world) statesOf(s store.Schedule, jobs map[string]bool) (states []string) {
	w.t.Helper()
	runs, err := w.Runs(w.t.Context(), s.ID, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range runs {
		r := runs[len(runs)-1-i]
		states = append(states, fmt.Sprint(r.Slot.Unix(), " ", r.State, " ", r.Missed))
		job := ""
		for _, in := range r.Inputs {
			job = cmp.Or(job, in.Job)
		}
		if (job != "") != (r.State == store.RunDone) || jobs[job] {
			w.t.Errorf("%s: the run of %v is %s, with job %q", s.Name, r.Slot, r.State, job)
		}
		if job != "" {
			jobs[job] = true
		}
	}
	return states
}
