package tasks

import (
	"cmp"
	"context"
	"slices"

	"github.com/usher-bi/usher/internal/store"
)

// repairs adds up what a round has put right.
type repairs map[repaired]int

// repaired is one kind of repair to one job.
type repaired struct {
	kind store.RepairKind
	job  int64
}

func (r repairs) add(kind store.RepairKind, job int64, n int) {
	if n > 0 {
		r[repaired{kind, job}] += n
	}
}

func (r repairs) addAll(kind store.RepairKind, tasks []store.Queued) {
	for _, t := range tasks {
		r.add(kind, t.Job, 1)
	}
}

// note writes what was repaired into the audit, counts it, and says so in a line
// for each kind. What was done is noted also when the worker is stopping.
func (w *Worker) note(ctx context.Context, done repairs) error {
	if len(done) == 0 {
		return nil
	}
	var rows []store.Repair
	totals := map[store.RepairKind]int{}
	for what, n := range done {
		rows = append(rows, store.Repair{Kind: what.kind, Job: what.job, Count: n})
		totals[what.kind] += n
	}
	slices.SortFunc(rows, func(a, b store.Repair) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Job, b.Job)) })
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	err := w.store.NoteRepairs(ctx, rows)
	for kind, n := range totals {
		w.metrics.repairs.WithLabelValues(string(kind)).Add(float64(n))
		w.log.Warn().Str("kind", string(kind)).Int("count", n).Msg("repaired")
	}
	return err
}
