package tasks

import (
	"context"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/quickbi"
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
		return h.finish(ctx, task, store.Answer{}, store.Ending{Exceptions: supersededBy(task.Rectangle, by)})
	}
	var parts []store.Part
	for _, t := range split.Tasks(dropped) {
		parts = append(parts, store.Part{Rectangle: t.Rectangle, Done: true, Exceptions: supersededBy(t.Rectangle, by)})
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

func supersededBy(r access.Rectangle, by map[access.Pair]string) []store.CellException {
	out := make([]store.CellException, 0, r.Cells())
	for _, c := range changesOf(r) {
		out = append(out, store.CellException{Principal: c.Principal.ID, Resource: c.Resource, Exception: store.Exception{
			Status: store.Superseded, Code: codeSuperseded, Message: "a newer change of the same access was accepted with job " + by[c.Pair()],
		}})
	}
	return out
}

// sendWithin is how old the permission to send a call may be. A worker that was
// frozen between the two, and long given up for dead, must not send what has
// been overtaken meanwhile: whoever waits for its call waits for LateFor.
func (h *handler) sendWithin() time.Duration { return min(5*time.Second, h.options.LateFor/4) }

// classNotSent is recorded for a call that was written down and not sent.
const classNotSent = "not_sent"

// notSent gives a task back whose call was written down too long ago.
func (h *handler) notSent(ctx context.Context, task store.Task, call int64) error {
	a := store.Answer{Call: call, Class: classNotSent, Message: "the worker was held up for too long before it could send"}
	if err := h.answered(ctx, task, a); err != nil {
		return err
	}
	return h.giveBack(ctx, task, store.Again{Unsure: task.Unsure})
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

// mayComeLate reports whether a call that has ended may still take effect.
func mayComeLate(task store.Task, r reply) bool {
	m := quickbi.Explain(r.err)
	return (m.Class == quickbi.ClassTransient || m.Class == quickbi.ClassUnknownOutcome) && mayHaveHappened(task, r, m)
}

// readsOnly reports whether an operation changes nothing.
func readsOnly(action access.Action) bool {
	switch action {
	case access.QuerySharesToUserList, queryShareList, queryRoleInWorkspace, listWorkspaceRoles:
		return true
	default:
		return false
	}
}
