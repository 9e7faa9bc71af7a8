package store

import (
	"iter"
	"slices"
	"time"

	"github.com/usher-bi/usher/internal/access"
)

// Lane says how a job's tasks are queued against other jobs'.
type Lane string

// The lanes, most urgent first.
const (
	Urgent Lane = "urgent"
	Normal Lane = "normal"
	Bulk   Lane = "bulk"
)

// Lanes lists the lanes, most urgent first.
func Lanes() []Lane { return []Lane{Urgent, Normal, Bulk} }

// JobStatus says where a job stands. It says nothing about success: see
// [Outcome].
type JobStatus string

// The life of a job.
const (
	JobQueued    JobStatus = "queued"    // accepted, nothing claimed yet
	JobRunning   JobStatus = "running"   // at least one task was claimed
	JobPaused    JobStatus = "paused"    // queued or running, but it, its source or everything is paused
	JobCanceling JobStatus = "canceling" // canceled, a call may still be in flight
	JobCompleted JobStatus = "completed" // every change has a final status
	JobCanceled  JobStatus = "canceled"  // every change has a final status, some were withdrawn
	JobFailed    JobStatus = "failed"    // could not be finished
)

// Final reports whether a job in s will never move again.
func (s JobStatus) Final() bool {
	return s == JobCompleted || s == JobCanceled || s == JobFailed
}

// Outcome says how a job's rows ended, as far as they have.
type Outcome string

// The outcomes.
const (
	OutcomeNone      Outcome = "none"      // it is not decided yet, or all was canceled
	OutcomeSucceeded Outcome = "succeeded" // every row succeeded or was so already
	OutcomePartial   Outcome = "partial"   // some rows did, some did not, whatever becomes of the rest
	OutcomeFailed    Outcome = "failed"    // no row succeeded
)

// Status says what became of one change.
type Status string

// What can become of a change. They add up to the rows of the job.
const (
	Succeeded  Status = "succeeded"
	NoChange   Status = "no_change"  // it was so already, or the row repeats another
	Failed     Status = "failed"     // refused
	Unknown    Status = "unknown"    // sent, and no answer ever told what became of it
	Superseded Status = "superseded" // a newer change of the same pair was accepted
	Canceled   Status = "canceled"   // withdrawn before it was sent
	Pending    Status = "pending"    // not sent yet, or in flight
)

// Statuses lists every status, in the order in which results are counted.
func Statuses() []Status {
	return []Status{Succeeded, NoChange, Failed, Unknown, Superseded, Canceled, Pending}
}

// Counts says how many rows of a job have which status.
type Counts struct {
	Total      int `json:"total"`
	Succeeded  int `json:"succeeded"`
	NoChange   int `json:"no_change"`
	Failed     int `json:"failed"`
	Unknown    int `json:"unknown"`
	Superseded int `json:"superseded"`
	Canceled   int `json:"canceled"`
	Pending    int `json:"pending"`
}

// Outcome derives a job's outcome from what became of its rows. repeats of them
// only repeat another row: they stand or fall with it and count for nothing. As long
// as rows are pending that can still decide it, there is none.
func (c Counts) Outcome(repeats int) Outcome {
	c.Total, c.NoChange = c.Total-repeats, c.NoChange-repeats
	good := c.Succeeded + c.NoChange
	bad := c.Failed + c.Unknown
	rest := c.Superseded + c.Canceled + c.Pending
	switch {
	case good == c.Total:
		return OutcomeSucceeded
	case good > 0 && bad+rest-c.Pending > 0:
		return OutcomePartial
	case bad > 0 && c.Pending == 0:
		return OutcomeFailed
	default:
		return OutcomeNone
	}
}

// TaskCounts counts the tasks of a job that are not split.
type TaskCounts struct {
	Total int `json:"total"`
	Done  int `json:"done"`
}

// CallCounts counts the calls that were sent for a job.
type CallCounts struct {
	Sent      int `json:"sent"`
	Throttled int `json:"throttled"`
}

// Progress says how far a job is.
type Progress struct {
	Ratio float64 `json:"ratio"` // of rows with a final status, 0 to 1

	// A Store tells neither. They are nil when the job is over or paused, or
	// nobody can tell.
	ETA  *time.Time     `json:"eta"`
	Left *time.Duration `json:"-"` // until then
}

// Input says what a job was read from.
type Input struct {
	SHA256    string `json:"sha256"`
	Rows      int    `json:"rows"`
	Encoding  string `json:"encoding"`
	Delimiter string `json:"delimiter"`
}

// Job is one submission as people and programs see it. Its JSON is API.
type Job struct {
	ID             string     `json:"id"` // a ULID
	Status         JobStatus  `json:"status"`
	Outcome        Outcome    `json:"outcome"`
	Source         string     `json:"source"`
	RequestedBy    string     `json:"requested_by"`
	Reason         string     `json:"reason"`
	Lane           Lane       `json:"lane"`
	Counts         Counts     `json:"counts"`
	Tasks          TaskCounts `json:"tasks"`
	Calls          CallCounts `json:"calls"`
	Progress       Progress   `json:"progress"`
	Input          Input      `json:"input"`
	IdempotencyKey string     `json:"idempotency_key"`
	ParentID       *string    `json:"parent_id"`
	CreatedAt      time.Time  `json:"created_at"`
	StartedAt      *time.Time `json:"started_at"`
	FinishedAt     *time.Time `json:"finished_at"`
	DroppedAt      *time.Time `json:"dropped_at,omitempty"` // by retention; then nothing is counted
	UpdateRole     bool       `json:"-"`                    // as in [NewJob]
}

// NewJob is what a submission brings.
type NewJob struct {
	Source         string
	RequestedBy    string
	Reason         string
	Lane           Lane
	IdempotencyKey string   // unique among the jobs of Source
	Fingerprint    string   // equal for equal rows
	ParentID       string   // ULID of the job that this one retries or reads for; "" for none
	Retry          bool     // takes the place of its parent in the order between jobs
	UpdateRole     bool     // members of a workspace whose role differs are given the new one
	Token          string   // by which it came in, for the audit; "" for none
	Header         []string // the input's columns, as written
	Input          Input
	Guards         Guards              // beyond which it is held
	Tasks          Sequence[NewTask]   // those of each action in a run, in the order in which they are to be sent
	Changes        Sequence[NewChange] // those of each task contiguous and in cell order, then the rest

	// Progress is told now and then how many changes are written. It may be nil.
	Progress func(written int)
}

// Sequence is a list that is made while it is read, which may be more than once.
// The zero value is empty.
type Sequence[T any] struct {
	Len int
	All iter.Seq[T] // exactly Len values
}

// SequenceOf returns a sequence of values at hand.
func SequenceOf[T any](values ...T) Sequence[T] {
	return Sequence[T]{Len: len(values), All: slices.Values(values)}
}

// each is All, and nothing for the zero value.
func (s Sequence[T]) each() iter.Seq[T] {
	if s.All == nil {
		return slices.Values([]T(nil))
	}
	return s.All
}

// NewTask is a planned task: its rectangle and where its changes start. Task i
// of a job gets number i+1.
type NewTask struct {
	access.Rectangle

	FirstChange int  // place in NewJob.Changes, from 0
	Unsure      bool // as in [Task]
}

// NewChange is one row of the input.
type NewChange struct {
	Row

	Task      int        // place in NewJob.Tasks, from 0, or NoTask
	Exception *Exception // for a row that is settled at submission, else nil
}

// NoTask marks a change that is never sent.
const NoTask = -1

// Row is one row of the input as it was asked for.
type Row struct {
	Line   int
	RowID  string
	Change access.Change
	Reason string
	Ticket string
	Cells  []string // as written, aligned with the header; nil where they follow from the rest
}

// Exception says why a change did not simply succeed.
type Exception struct {
	Status    Status
	Code      string // ours, stable snake_case
	Message   string
	Retryable bool
	APICode   string // Quick BI's own code, "" if it gave none
	RequestID string
}
