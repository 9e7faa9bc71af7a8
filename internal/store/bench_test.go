package store_test

import (
	"fmt"
	"testing"
	"time"

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
	newer := draft{NewJob: store.NewJob{
		Source: "test", RequestedBy: "tester", Lane: store.Normal, IdempotencyKey: "newer", Fingerprint: "newer", Header: []string{"action"},
	}}
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

// BenchmarkTakeBacklog hands out a second's tasks at 50 a second of a job of
// 200,000, beside 2,000 jobs of one.
func BenchmarkTakeBacklog(b *testing.B) {
	w := setup(b)
	w.large(b, "large", 200_000)
	w.small(b, 2000)
	w.exec(b, `ANALYZE`)
	for b.Loop() {
		if n, err := w.HandOut(b.Context(), normal, 50, kept); err != nil || n != 50 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkDueTasksBehindBacklog looks for what was lost of a job of 200,000
// tasks of which 100 were handed out.
func BenchmarkDueTasksBehindBacklog(b *testing.B) {
	w := setup(b)
	w.large(b, "large", 200_000)
	if n, err := w.HandOut(b.Context(), normal, 100, kept); n != 100 || err != nil {
		b.Fatal(n, err)
	}
	w.exec(b, `ANALYZE`)
	for b.Loop() {
		if due, err := w.DueTasks(b.Context(), -time.Minute, store.TaskRef{}, 1000); err != nil || len(due) != 100 {
			b.Fatal(len(due), err)
		}
	}
}

// BenchmarkWorkLeft asks what is left of the same job, and of 2,000 others.
func BenchmarkWorkLeft(b *testing.B) {
	w := setup(b)
	w.large(b, "large", 200_000)
	if n, err := w.HandOut(b.Context(), normal, 100, kept); n != 100 || err != nil {
		b.Fatal(n, err)
	}
	w.small(b, 2000)
	w.exec(b, `ANALYZE`)
	for b.Loop() {
		if left, err := w.WorkLeft(b.Context()); err != nil || len(left) != 2001 {
			b.Fatal(len(left), err)
		}
	}
}
