package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// VerifyAuditIn verifies all of the audit as a transaction sees it.
func VerifyAuditIn(ctx context.Context, tx pgx.Tx) (AuditReport, error) {
	return verifyAudit(ctx, tx, AuditQuery{})
}

// LeadSilently leads without letting Postgres hear of it, as a process that
// stands still, and is believed for silence.
func (s *Store) LeadSilently(ctx context.Context, silence time.Duration, f func(context.Context) error) (bool, error) {
	return s.leadFor(ctx, lead{lock: leaderLock, silence: silence, beat: 4 * silence}, f)
}

// The statements whose plans are tested.
const (
	NextInLine   = nextInLine
	WaitingSQL   = waitingTasks
	WorkLeft     = workLeft
	ListBacklogs = listBacklogs
	ListJobs     = selectJobs
	CountJobs    = countJobs
	CountOpen    = countOpen
	SealCounts   = sealCounts
	Results      = selectResults
	ForResults   = forResults
	OfOneJob     = ofOneJob
	OfJobs       = ofJobs
	Groups       = selectFailureGroups
	RetryRows    = selectRetryRows
	Calls        = selectCalls
	ChangesOf    = changesOf
	UnansweredOf = unanswered

	CountRetryRows = countRetryRows
	Forsaken       = forsakenJobs
	Reclaim        = reclaim
	ForgetSilent   = forgetSilent
	ReadyTask      = readyTask
	Served         = somebodyServed
	OpenJobsOf     = openJobsOf
	CountWaiting   = countWaiting
	Endable        = endableJobs
	GrantedTo      = grantedTo
	OfTheJobs      = ofTheJobs
	OfAnyJob       = ofAnyJob
	ChangesAbout   = changesAbout
	GrantedUntil   = grantedUntil
	ByIndex        = byIndex
)

// Where is the condition of a list of jobs, with its arguments.
func (f JobFilter) Where() (string, []any) { return f.where() }
