package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// SharedWork is one work that a user was given, as QuerySharesToUserList told
// it. Its JSON is API. Texts are Quick BI's own; times are nil where it gave
// none.
type SharedWork struct {
	UserID            string     `json:"user_id"`
	WorksID           string     `json:"works_id"`
	WorkName          string     `json:"work_name"`
	WorkType          string     `json:"work_type"`
	Status            string     `json:"status"`
	ThirdPartAuthFlag string     `json:"third_part_auth_flag"`
	SecurityLevel     string     `json:"security_level"`
	Description       string     `json:"description"`
	WorkspaceID       string     `json:"workspace_id"`
	WorkspaceName     string     `json:"workspace_name"`
	OwnerID           string     `json:"owner_id"`
	OwnerName         string     `json:"owner_name"`
	ModifyName        string     `json:"modify_name"`
	CreateTime        *time.Time `json:"create_time"`
	ModifyTime        *time.Time `json:"modify_time"`
	DirectoryID       string     `json:"directory_id"`
	DirectoryName     string     `json:"directory_name"`
	DirectoryPathID   string     `json:"directory_path_id"`
	DirectoryPathName string     `json:"directory_path_name"`
	ReadAt            time.Time  `json:"read_at"` // set by the database
}

var workColumns = []string{
	"job_id", "task_no", "principal", "works_id", "work_name", "work_type", "status", "third_part_auth", "security_level", "description",
	"workspace_id", "workspace_name", "owner_id", "owner_name", "modify_name", "create_time", "modify_time",
	"directory_id", "directory_name", "directory_path_id", "directory_path_name",
}

func writeWorks(ctx context.Context, tx pgx.Tx, ref TaskRef, works []SharedWork) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"shared_works"}, workColumns, pgx.CopyFromSlice(len(works), func(i int) ([]any, error) {
		w := works[i]
		return []any{
			ref.Job, ref.No, w.UserID, w.WorksID, w.WorkName, w.WorkType, w.Status, w.ThirdPartAuthFlag, w.SecurityLevel, w.Description,
			w.WorkspaceID, w.WorkspaceName, w.OwnerID, w.OwnerName, w.ModifyName, w.CreateTime, w.ModifyTime,
			w.DirectoryID, w.DirectoryName, w.DirectoryPathID, w.DirectoryPathName,
		}, nil
	}))
	if err != nil {
		return fmt.Errorf("writing what was read: %w", err)
	}
	return nil
}

const selectWorks = `
SELECT principal, works_id, work_name, work_type, status, third_part_auth, security_level, description,
       workspace_id, workspace_name, owner_id, owner_name, modify_name, create_time, modify_time,
       directory_id, directory_name, directory_path_id, directory_path_name, read_at
FROM shared_works
WHERE job_id = (SELECT id FROM jobs WHERE ulid = $1)
ORDER BY principal, works_id`

// SharedWorks calls yield for each work that a read job found, by user, without
// holding them all. It stops at the first error of yield and returns it.
func (s *Store) SharedWorks(ctx context.Context, id string, yield func(SharedWork) error) error {
	rows, err := s.pool.Query(ctx, selectWorks, id)
	if err != nil {
		return outward("reading shared works", err)
	}
	defer rows.Close()
	for rows.Next() {
		w, err := pgx.RowToStructByPos[SharedWork](rows)
		if err != nil {
			return outward("reading shared works", err)
		}
		if err := yield(w); err != nil {
			return err
		}
	}
	return outward("reading shared works", rows.Err())
}

// Verdict says what a later look at Quick BI found of a change.
type Verdict string

// The verdicts.
const (
	Verified     Verdict = "verified"     // what was granted is there, what was revoked is gone
	Missing      Verdict = "missing"      // granted, and not there
	StillThere   Verdict = "still_there"  // revoked, and there all the same
	Unverifiable Verdict = "unverifiable" // Quick BI has no way to tell
)

// Verification counts what a look at Quick BI found.
type Verification struct {
	Verified     int `json:"verified"`
	Missing      int `json:"missing"`
	StillThere   int `json:"still_there"`
	Unverifiable int `json:"unverifiable"`
	Settled      int `json:"settled"` // changes of unknown outcome that are known now
}

// The list of a user's works tells presence, not level or expiry, nor whether a
// work is there by authorization or by share: where a job asks for both, it
// proves neither. Its published work types leave datasets, data sources, screens
// and ad-hoc analyses out, so of those it can prove presence and not absence.
const verifyChanges = `
WITH job AS (
    SELECT id FROM jobs WHERE ulid = $1
), read AS (
    SELECT id FROM jobs WHERE ulid = $2
), asked AS (
    SELECT c.job_id, c.no, c.operation, c.resource_type IN ('dashboard', 'report', 'dashboardOfflineQuery', 'dataForm', 'share') AS listed,
           EXISTS (SELECT FROM shared_works w WHERE w.job_id = read.id AND w.principal = c.principal AND w.works_id = c.resource_id) AS present,
           count(*) OVER (PARTITION BY c.principal_type, c.principal, c.resource_id) > 1 AS twofold,
           c.principal_type = 'user' AND EXISTS (
               SELECT FROM changes r JOIN tasks t ON t.job_id = r.job_id AND t.no = r.task_no
               WHERE r.job_id = read.id AND r.principal = c.principal AND t.state = 'done'
                 AND NOT EXISTS (SELECT FROM exceptions e WHERE e.job_id = r.job_id AND e.change_no = r.no)
           ) AS was_read
    FROM changes c
    CROSS JOIN job
    CROSS JOIN read
    LEFT JOIN outcomes e ON e.job_id = c.job_id AND e.change_no = c.no
    LEFT JOIN tasks t ON t.job_id = c.job_id AND t.no = c.task_no
    WHERE c.job_id = job.id AND c.task_no IS NOT NULL AND t.state IN ('done', 'split')
      AND c.resource_type IN ('dashboard', 'report', 'dashboardOfflineQuery', 'cube', 'datasource', 'screen', 'ANALYSIS', 'dataForm', 'share')
      AND (e.status IS NULL OR e.status IN ('no_change', 'unknown'))
)
INSERT INTO verifications (job_id, change_no, read_job_id, verdict)
SELECT asked.job_id, asked.no, read.id, CASE
    WHEN NOT was_read OR present AND twofold THEN 'unverifiable'
    WHEN operation = 'grant' AND present THEN 'verified'
    WHEN operation = 'grant' AND listed THEN 'missing'
    WHEN operation = 'revoke' AND present THEN 'still_there'
    WHEN operation = 'revoke' AND listed THEN 'verified'
    ELSE 'unverifiable' END
FROM asked
CROSS JOIN read
ON CONFLICT (job_id, change_no, read_job_id) DO NOTHING`

// A change of unknown outcome is settled by what was found: as done, or as a
// failure that can be retried. Its exception stays as it was recorded.
const settle = `
INSERT INTO settlements (job_id, change_no, status, code, message, retryable, read_job_id)
SELECT e.job_id, e.change_no, x.status, x.code, x.message, x.status = 'failed', v.read_job_id
FROM verifications v
JOIN exceptions e ON e.job_id = v.job_id AND e.change_no = v.change_no AND e.status = 'unknown'
JOIN (VALUES ('verified', 'succeeded', '', ''),
             ('missing', 'failed', 'not_applied', 'sent, never answered, and found not to have been carried out'),
             ('still_there', 'failed', 'not_applied', 'sent, never answered, and found not to have been carried out')
     ) AS x (verdict, status, code, message) ON x.verdict = v.verdict
WHERE v.job_id = (SELECT id FROM jobs WHERE ulid = $1) AND v.read_job_id = (SELECT id FROM jobs WHERE ulid = $2)
ON CONFLICT (job_id, change_no) DO NOTHING`

const countVerdicts = `
SELECT count(*) FILTER (WHERE verdict = 'verified'), count(*) FILTER (WHERE verdict = 'missing'),
       count(*) FILTER (WHERE verdict = 'still_there'), count(*) FILTER (WHERE verdict = 'unverifiable')
FROM verifications
WHERE job_id = (SELECT id FROM jobs WHERE ulid = $1) AND read_job_id = (SELECT id FROM jobs WHERE ulid = $2)`

// VerifyRequest compares a job with what a later read job found.
type VerifyRequest struct {
	JobID     string // ULID of the job whose changes are looked at
	ReadJobID string // ULID of the read job, which has ended
	Actor     string
}

// Verify marks each change of the job about a work or a share as verified,
// missing, still there or unverifiable, and settles those of unknown outcome.
// Doing it twice with the same read job changes nothing more.
func (s *Store) Verify(ctx context.Context, r VerifyRequest) (Verification, error) {
	var v Verification
	err := s.inTx(ctx, "verifying job "+r.JobID, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, verifyChanges, r.JobID, r.ReadJobID); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, settle, r.JobID, r.ReadJobID)
		if err != nil {
			return err
		}
		v.Settled = int(tag.RowsAffected())
		if err := tx.QueryRow(ctx, countVerdicts, r.JobID, r.ReadJobID).Scan(&v.Verified, &v.Missing, &v.StillThere, &v.Unverifiable); err != nil {
			return err
		}
		var number int64
		if err := tx.QueryRow(ctx, `SELECT id FROM jobs WHERE ulid = $1`, r.JobID).Scan(&number); err != nil {
			return err
		}
		return writeAudit(ctx, tx, AuditEvent{Actor: r.Actor, Event: EventVerified, Job: number, Detail: map[string]any{
			"read_job": r.ReadJobID, "verified": v.Verified, "missing": v.Missing, "still_there": v.StillThere, "settled": v.Settled,
		}})
	})
	return v, err
}

// VerifiedChange is a change of a job with what was found of it.
type VerifiedChange struct {
	Row

	Verdict Verdict
}

const selectVerified = `
SELECT c.line, c.row_id, c.operation, c.principal_type, c.principal, c.resource_type, c.resource_id, c.role, v.verdict
FROM verifications v
JOIN changes c ON c.job_id = v.job_id AND c.no = v.change_no
WHERE v.job_id = (SELECT id FROM jobs WHERE ulid = $1) AND v.read_job_id = (SELECT id FROM jobs WHERE ulid = $2)
  AND v.verdict <> 'verified'
ORDER BY c.line`

// Unverified calls yield for each change that was looked at and is not
// verified, in the order of the input.
func (s *Store) Unverified(ctx context.Context, r VerifyRequest, yield func(VerifiedChange) error) error {
	rows, err := s.pool.Query(ctx, selectVerified, r.JobID, r.ReadJobID)
	if err != nil {
		return outward("reading verdicts", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c VerifiedChange
		if err := rows.Scan(&c.Line, &c.RowID, &c.Change.Operation, &c.Change.Principal.Type, &c.Change.Principal.ID,
			&c.Change.Resource.Type, &c.Change.Resource.ID, &c.Change.Terms.Role, &c.Verdict); err != nil {
			return outward("reading verdicts", err)
		}
		if err := yield(c); err != nil {
			return err
		}
	}
	return outward("reading verdicts", rows.Err())
}

const sharedWith = `
SELECT DISTINCT principal FROM changes
WHERE job_id = (SELECT id FROM jobs WHERE ulid = $1) AND task_no IS NOT NULL AND principal_type = 'user'
  AND resource_type IN ('dashboard', 'report', 'dashboardOfflineQuery', 'cube', 'datasource', 'screen', 'ANALYSIS', 'dataForm', 'share')
ORDER BY principal`

// SharedWith lists the users of a job's changes about works and shares: those
// whom a verification has to read.
func (s *Store) SharedWith(ctx context.Context, id string) ([]string, error) {
	if _, err := s.Header(ctx, id); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, sharedWith, id)
	if err != nil {
		return nil, outward("listing users", err)
	}
	users, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return users, outward("listing users", err)
}
