package store_test

import (
	"fmt"
	"testing"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
)

// BenchmarkBeginCall writes calls of 100 changes down while a job of a hundred
// thousand other changes was accepted later: each change is looked for there.
func BenchmarkBeginCall(b *testing.B) {
	w := setup(b)
	users := func(job, task int) []string {
		out := make([]string, 100)
		for i := range out {
			out[i] = fmt.Sprintf("%08x-job%d-user-%06d", (task*100+i)*2654435761, job, task*100+i)
		}
		return out
	}
	older := w.create(b, asking(access.Grant, "older", users(1, 0)...))
	task := w.claim(b, first(older), 0)
	newer := store.NewJob{
		Source: "test", RequestedBy: "tester", Lane: store.Normal, IdempotencyKey: "newer", Fingerprint: "newer", Header: []string{"action"},
	}
	for i := range 1000 {
		part := asking(access.Grant, "", users(2, i)...)
		part.Tasks[0].FirstChange = len(newer.Changes)
		for _, c := range part.Changes {
			c.Task = i
			newer.Changes = append(newer.Changes, c)
		}
		newer.Tasks = append(newer.Tasks, part.Tasks...)
	}
	w.create(b, newer)
	for b.Loop() {
		if _, err := w.BeginCall(b.Context(), call(task)); err != nil {
			b.Fatal(err)
		}
	}
}
