package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/usher-bi/usher/internal/access"
)

var keptColumns = []string{
	"job_id", "principal_type", "principal", "resource_type", "resource_id", "line", "row_id", "role", "expires_on", "reason", "ticket", "status", "finished_at",
}

// keepGranted writes down what is in force of the jobs before a month, whose rows
// are about to be dropped, and what was kept of those dropped before. A leaver has
// to lose that, too.
func keepGranted(ctx context.Context, tx pgx.Tx, m month) error {
	rows, err := tx.Query(ctx, fmt.Sprintf(allGranted, ofAnyJob), "UTC")
	if err != nil {
		return fmt.Errorf("reading what is in force: %w", err)
	}
	defer rows.Close()
	var kept [][]any
	err = eachAccess(rows, func(run []askedRow) error {
		for len(run) > 0 && run[0].job >= m.firstJob() {
			run = run[1:]
		}
		if r, ok := inForce(run); ok {
			kept = append(kept, []any{
				r.job, r.pair.Principal.Type, r.pair.Principal.ID, r.pair.Resource.Type, r.pair.Resource.ID,
				r.Line, r.RowID, r.Terms.Role, date(r.Terms.ExpiresOn), r.Reason, r.Ticket, r.Status, r.FinishedAt,
			})
		}
		return nil
	})
	rows.Close()
	if err == nil {
		err = rows.Err()
	}
	if err != nil {
		return fmt.Errorf("reading what is in force: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM granted_before`); err != nil {
		return err
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"granted_before"}, keptColumns, pgx.CopyFromRows(kept)); err != nil {
		return fmt.Errorf("keeping what is in force: %w", err)
	}
	return nil
}

// inForce is the grant that is, or may be, in force after changes of one access.
func inForce(run []askedRow) (r askedRow, ok bool) {
	if len(run) == 0 {
		return r, false
	}
	if state, _ := stand(askedOf(run), run[0].today); state == Gone || state == Expired {
		return r, false
	}
	for _, r := range run {
		if r.Operation == access.Grant && (r.Status == Succeeded || r.Status == NoChange || r.Status == Unknown || r.Status == Superseded && r.sent) {
			if r.Status == Superseded {
				r.Status = Unknown
			}
			return r, true
		}
	}
	return r, false
}
