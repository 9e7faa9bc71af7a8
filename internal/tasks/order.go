package tasks

import (
	"context"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/split"
	"github.com/usher-bi/usher/internal/store"
)

// codeSuperseded marks a change that was never sent, because a newer one of the
// same access was accepted.
const codeSuperseded = "superseded"

// drop ends the cells of a task that newer changes superseded, without a call,
// and queues the others again in tasks of their own.
func (h *handler) drop(ctx context.Context, task store.Task, cells []store.SupersededCell) error {
	h.metrics.superseded.WithLabelValues(string(task.Action)).Add(float64(len(cells)))
	by := make(map[access.Pair]string, len(cells))
	for _, c := range cells {
		by[access.Pair{Principal: access.Principal{Type: task.Principals[0].Type, ID: c.Principal}, Resource: c.Resource}] = c.By
	}
	var dropped, left []access.Change
	for _, c := range changesOf(task.Rectangle) {
		if _, newer := by[c.Pair()]; newer {
			dropped = append(dropped, c)
		} else {
			left = append(left, c)
		}
	}
	if len(left) == 0 {
		return h.finish(ctx, task, store.Answer{}, store.Ending{Exceptions: supersededBy(task, task.Rectangle, by)})
	}
	var parts []store.Part
	for _, t := range split.Tasks(dropped) {
		parts = append(parts, store.Part{Rectangle: t.Rectangle, Done: true, Exceptions: supersededBy(task, t.Rectangle, by)})
	}
	for _, t := range split.Tasks(left) {
		parts = append(parts, store.Part{Rectangle: t.Rectangle, Strikes: task.Strikes, Unsure: task.Unsure})
	}
	return h.cut(ctx, task, store.Answer{}, parts)
}

// changesOf lists the cells of a rectangle as changes.
func changesOf(r access.Rectangle) []access.Change {
	out := make([]access.Change, 0, r.Cells())
	for _, p := range r.Principals {
		for _, res := range r.Resources {
			out = append(out, access.Change{Operation: r.Operation, Principal: p, Resource: res, Terms: r.Terms})
		}
	}
	return out
}

// supersededBy words what became of the cells r of a task.
func supersededBy(task store.Task, r access.Rectangle, by map[access.Pair]string) []store.CellException {
	sent := ""
	if task.Unsure {
		sent = "; it had been sent before, and may have been carried out"
	}
	out := make([]store.CellException, 0, r.Cells())
	for _, c := range changesOf(r) {
		out = append(out, store.CellException{Principal: c.Principal.ID, Resource: c.Resource, Exception: store.Exception{
			Status: store.Superseded, Code: codeSuperseded, Message: "a newer change of the same access was accepted with job " + by[c.Pair()] + sent,
		}})
	}
	return out
}

// olderPoll is how soon to look again whether an older call has been answered.
const olderPoll = time.Second

// waitFor is how long to wait for an older call.
func waitFor(older *store.OlderCallError) time.Duration { return max(older.For, olderPoll) }

// oncemore judges what a call led to while an older one for the same access was
// in flight, which may undo it yet: nothing is settled, and it is sent once more
// when the older one has ended.
func oncemore(v verdict, older *store.OlderCallError) verdict {
	if older == nil || v.kind != finish && v.kind != cut {
		return v
	}
	return verdict{kind: repeat, again: store.Again{Delay: waitFor(older), Overtook: true}}
}
