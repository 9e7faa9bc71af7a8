package tasks

import (
	"testing"
	"time"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/testenv"
)

// A task looks old that somebody queued whose clock is behind. In a long queue it
// is not looked for, and must not be taken for forgotten: it would be there twice.
func TestAnOldLookIsNoReasonToQueueTwice(t *testing.T) {
	t.Parallel()
	client, err := OpenRedis(t.Context(), testenv.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	q := NewQueue(client)
	var all []store.Queued
	for no := range 1101 {
		all = append(all, store.Queued{TaskRef: store.TaskRef{Job: 1, No: no + 1}, Action: access.SmartqAuthorize, Lane: store.Bulk})
	}
	last := all[len(all)-1:]
	for _, some := range [][]store.Queued{all[:len(all)-1], last} {
		if err := q.Put(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	key := keysOf(queueName(last[0].Action, last[0].Lane)) + "t:" + taskID(last[0].TaskRef, last[0].Generation)
	if err := client.HSet(t.Context(), key, "pending_since", time.Now().Add(-time.Minute).UnixNano()).Err(); err != nil {
		t.Fatal(err)
	}
	if fates, err := q.fates(t.Context(), last); err != nil || fates[0] != waiting {
		t.Errorf("fates = %v, %v; it waits", fates, err)
	}
}
