package store

import (
	"time"
)

// AuditQuery says what of the audit to check. The zero value means all of it.
type AuditQuery struct {
	From, To   time.Time   // recompute only what was written in [From, To); zero is open
	Checkpoint *Checkpoint // that must be in the chain; nil for none
}

// FindingKind says what is wrong with the audit.
type FindingKind string

// The kinds of findings.
const (
	RowsChanged    FindingKind = "rows_changed"         // as many rows as were sealed, but not the same
	RowsMissing    FindingKind = "rows_missing"         // fewer rows than were sealed
	RowsInserted   FindingKind = "rows_inserted"        // more rows than were sealed, or rows of no job
	SealChanged    FindingKind = "seal_changed"         // it does not hash to its hash
	SealMissing    FindingKind = "seal_missing"         // a number of the chain is not there
	LinkBroken     FindingKind = "link_broken"          // it does not follow from the one before
	CheckpointGone FindingKind = "checkpoint_not_found" // the chain does not hold it
	JobChanged     FindingKind = "job_changed"          // it is not as its submission was recorded
	DropUntrue     FindingKind = "drop_untrue"          // months are said to be dropped that are too young, or still there
	Unanswered     FindingKind = "outcome_unanswered"   // a job has changes that are said to have succeeded, and no answer says so
	Unrecorded     FindingKind = "unrecorded"           // a row is not as the audit says, or the audit knows nothing of it, or it is gone
)

// Finding is one thing that is wrong. Its JSON is API. Fields that do not apply
// are zero.
type Finding struct {
	Kind   FindingKind `json:"kind"`
	Table  string      `json:"table"`
	Seal   int64       `json:"seal,omitempty"`
	Month  string      `json:"month,omitempty"`
	JobID  string      `json:"job_id,omitempty"` // a ULID, or the number where there is no such job
	Name   string      `json:"name,omitempty"`   // of a token, webhook or schedule; version of profiles; of events the batch, or the source
	From   *time.Time  `json:"from"`             // the rows were written between From
	To     *time.Time  `json:"to"`               // and To
	Sealed int64       `json:"sealed_rows"`      // as many rows as were recorded
	Found  int64       `json:"found_rows"`
}

// AuditReport is what a check of the audit found. Its JSON is API.
type AuditReport struct {
	Intact        bool        `json:"intact"`
	Seals         int64       `json:"seals"`         // of the chain
	SealsChecked  int64       `json:"seals_checked"` // whose rows were read
	Rows          int64       `json:"rows"`          // that were checked
	Jobs          int64       `json:"jobs"`          // whose changes were checked
	Changes       int64       `json:"changes"`
	Records       int64       `json:"records"`         // tokens, webhooks, schedules, profiles and events that were held against the audit
	Unsealed      int64       `json:"unsealed_rows"`   // newer than the chain
	Undigested    int64       `json:"undigested_jobs"` // accepted before their changes were recorded in the audit
	Head          *Checkpoint `json:"head"`            // of the chain; nil: nothing was sealed yet
	DroppedBefore string      `json:"dropped_before"`  // retention dropped the months before; "" for none
	DroppedRows   int64       `json:"dropped_rows"`    // sealed, and dropped since
	Findings      []Finding   `json:"findings"`        // the first thousand
	Found         int64       `json:"findings_in_total"`
}

// mostFindings bounds what a report lists: a thousand are enough to see.
const mostFindings = 1000

func (r *AuditReport) add(f Finding) {
	r.Found++
	if len(r.Findings) < mostFindings {
		r.Findings = append(r.Findings, f)
	}
}

// compare adds a finding unless what was found is what was sealed. f names it.
func (r *AuditReport) compare(f Finding, sealed, found entry) {
	f.Sealed, f.Found = sealed.Rows, found.Rows
	switch {
	case sealed.Rows == found.Rows && sealed.SHA256 == found.SHA256:
		return
	case found.Rows < sealed.Rows:
		f.Kind = RowsMissing
	case found.Rows > sealed.Rows:
		f.Kind = RowsInserted
	default:
		f.Kind = RowsChanged
	}
	r.add(f)
}
