package store

import (
	"context"

	"github.com/usher-bi/usher/internal/broken"
)

// fenced returns the claim that a write must name: c itself. In a build whose
// fencing is broken it is the claim of whoever has the task now.
func (s *Store) fenced(ctx context.Context, c Claim) Claim {
	if broken.Fencing {
		_ = s.pool.QueryRow(ctx, `SELECT generation FROM tasks WHERE job_id = $1 AND no = $2`, c.Job, c.No).Scan(&c.Generation)
	}
	return c
}
