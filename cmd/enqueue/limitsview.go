package main

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
	"github.com/usher-bi/usher/internal/view"
)

// printLimits prints a table.
func (a *app) printLimits(rates []tasks.ActionRate) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACTION\tLIMIT\tSET BY\tALLOWED NOW\tWAITING\tSENT\tTHROTTLED\tUSED")
	for _, r := range rates {
		v := view.LimitOf(r)
		fmt.Fprintf(w, "%s\t%s\t%s\t", v.Action, rateText(v.Limit), setText(v.Set))
		if v.Now == nil {
			fmt.Fprintln(w, "-\t-\t-\t-\t-")
			continue
		}
		m := v.Now.Minute
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", allowedText(*v.Now), waitingText(v.Now.Waiting), commas(m.Sent), percent(m.Share), percent(m.Used))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	a.sayf("Sent, throttled and used are of the last minute; waiting is urgent, normal, bulk.")
	if len(rates) > 0 && rates[0].State == nil {
		a.sayf("What is allowed now, waits and was sent is not known: Redis cannot be read.")
	}
	return nil
}

// setText says who set a limit, when and why.
func setText(s *view.LimitSet) string {
	if s == nil {
		return "configured"
	}
	text := printable(s.By) + ", " + timestamp(&s.At)
	if s.Reason != "" {
		text += " (" + printable(s.Reason) + ")"
	}
	if s.TakenUp != nil && !*s.TakenUp {
		text += ", not taken up yet"
	}
	return text
}

func allowedText(n view.LimitNow) string {
	if n.Frozen > 0 {
		return rateText(n.Allowed) + ", frozen for " + seconds(n.Frozen)
	}
	return rateText(n.Allowed)
}

func waitingText(waiting map[store.Lane]int) string {
	return commas(waiting[store.Urgent]) + ", " + commas(waiting[store.Normal]) + ", " + commas(waiting[store.Bulk])
}

// queueText names the lanes in which calls wait.
func queueText(waiting map[store.Lane]int) string {
	var parts []string
	for _, lane := range store.Lanes() {
		if waiting[lane] > 0 {
			parts = append(parts, commas(waiting[lane])+" "+string(lane))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}

// rateLine says in a line how fast an action goes.
func rateLine(r tasks.ActionRate) string {
	v := view.LimitOf(r)
	text := string(v.Action) + ": "
	limit := rateText(v.Limit) + " (" + setText(v.Set) + ")"
	if v.Now == nil {
		return text + "limit " + limit
	}
	m := v.Now.Minute
	return text + allowedText(*v.Now) + " allowed of " + limit + "; " + queueText(v.Now.Waiting) + " waiting; last minute: " +
		commas(m.Sent) + " sent, " + percent(m.Share) + " throttled, " + percent(m.Used) + " of the limit used"
}

// rateText writes a rate with at most two decimals, by the minute where it is low.
func rateText(perSecond float64) string {
	unit := "/s"
	if perSecond < 1 {
		perSecond, unit = perSecond*60, "/m"
	}
	return strconv.FormatFloat(math.Round(perSecond*100)/100, 'f', -1, 64) + unit
}

func percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1000)/10, 'f', -1, 64) + " %"
}

// seconds writes a time of seconds for people.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// limitTold is what setting a limit came to.
type limitTold struct {
	store.LimitSet

	rate    tasks.ActionRate
	delayed bool // Redis is away
}

// tellLimit says what was set and from when on it holds.
func (a *app) tellLimit(t limitTold) error {
	if a.json {
		d := limitSetDocument{Limit: view.LimitOf(t.rate), Changed: t.Changed, Delayed: t.delayed}
		if t.Was > 0 {
			d.Was = &t.Was
		}
		return a.emit(d)
	}
	var text string
	switch reset := t.PerSecond == 0; {
	case reset && !t.Changed:
		text = fmt.Sprintf("Nobody had set a limit of %s; it is %s, as configured.\n", t.Action, rateText(t.rate.Limit()))
	case reset:
		text = fmt.Sprintf("%s is back from %s to what the workers are configured with.\n", t.Action, rateText(t.Was))
	case !t.Changed:
		text = fmt.Sprintf("%s was limited to %s already, since %s by %s.\n", t.Action, rateText(t.PerSecond), timestamp(&t.SetAt), printable(t.Actor))
	default:
		text = fmt.Sprintf("%s is limited to %s, for all workers together.\n", t.Action, rateText(t.PerSecond))
	}
	if _, err := fmt.Fprint(a.Stdout, text); err != nil {
		return err
	}
	if t.delayed {
		a.sayf("It is recorded. Redis is away: workers take it up within seconds of its return.")
	}
	commands := []string{"enqueue limits"}
	if t.PerSecond > 0 {
		commands = append(commands, "enqueue limits reset "+string(t.Action))
	}
	a.next(commands...)
	return nil
}
