package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/usher-bi/usher/internal/store"
)

// keepAuditEvery is how often the leader looks after the partitions, and says
// how far the audit is sealed: often enough for an archive of the logs to anchor
// the chain.
const keepAuditEvery = time.Hour

// mostSeals is how many seals a round makes: each covers a bounded span, and what
// is not covered yet is counted anew whenever somebody asks for a job.
const mostSeals = 20

// auditKeeper is what the leader does for the audit, round by round.
type auditKeeper struct {
	sealer     *store.Sealer
	head       store.Seal // the newest that this worker made
	partitions time.Time  // made last
	logged     int64      // the number of the seal that was logged last, and when
	loggedAt   time.Time
}

// keepAudit seals what is new, and makes the partitions of the months ahead.
func (w *Worker) keepAudit(ctx context.Context) error {
	k := &w.audit
	var unmade error // no reason not to seal
	if time.Since(k.partitions) > keepAuditEvery {
		if unmade = w.store.MakePartitions(ctx); unmade == nil {
			k.partitions = time.Now()
		}
	}
	for range mostSeals {
		seal, sealed, err := k.sealer.Seal(ctx)
		if err != nil {
			return errors.Join(unmade, err)
		}
		if !sealed {
			break
		}
		k.head = seal
	}
	if time.Since(k.loggedAt) > keepAuditEvery {
		w.logCheckpoint()
	}
	return unmade
}

// logCheckpoint says what the newest seal hashes to, unless it was said already.
func (w *Worker) logCheckpoint() {
	k := &w.audit
	if k.head.No == k.logged {
		return
	}
	at := k.head.Checkpoint()
	w.log.Info().Int64("seal", at.No).Str("hash", at.Hash).Msg("audit checkpoint")
	k.logged, k.loggedAt = k.head.No, time.Now()
}
