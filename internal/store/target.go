package store

import (
	"fmt"
	"time"
)

// Scope says what kind of thing an operator pauses, resumes or cancels.
type Scope string

// The scopes.
const (
	ScopeJob    Scope = "job"
	ScopeSource Scope = "source" // every job of a source
	ScopeAction Scope = "action" // the tasks of an action, in every job
	ScopeAll    Scope = "all"
)

// Target is what an operator pauses, resumes or cancels.
type Target struct {
	Scope Scope  `json:"scope"`
	Name  string `json:"name"` // a job's ULID, a source or an action; "" of everything
}

// OfJob is the job with that ULID as a target.
func OfJob(id string) Target { return Target{Scope: ScopeJob, Name: id} }

// String names the target as people do.
func (t Target) String() string {
	if t.Scope == ScopeAll {
		return "everything"
	}
	return fmt.Sprintf("%s %s", t.Scope, t.Name)
}

// Order is who asked for something, and why.
type Order struct {
	Actor  string
	Reason string // "" for none
}

// Pause says what is paused, since when, by whom and why. Its JSON is API.
type Pause struct {
	Target

	Since  time.Time `json:"since"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
	Guard  string    `json:"guard,omitempty"` // which holds the job; "" where somebody paused it
}

// concerns is true of a task t of a job j that belongs to the target whose
// scope is $1 and whose name is $2.
const concerns = `CASE $1::text WHEN 'job' THEN j.ulid = $2 WHEN 'source' THEN j.source = $2 WHEN 'action' THEN t.action = $2 ELSE true END`

// jobPaused is true of a job j of which nothing may be sent.
const jobPaused = `EXISTS (SELECT FROM pauses p WHERE p.scope = 'all' OR p.scope = 'job' AND p.name = j.ulid
                        OR p.scope = 'source' AND p.name = j.source)`

// taskPaused is true of a task t of a job j that may not be sent.
const taskPaused = `EXISTS (SELECT FROM pauses p WHERE p.scope = 'all' OR p.scope = 'job' AND p.name = j.ulid
                        OR p.scope = 'source' AND p.name = j.source OR p.scope = 'action' AND p.name = t.action)`

// shownStatus is the status of a job j as people and programs see it.
const shownStatus = `CASE WHEN j.status IN ('queued', 'running') AND ` + jobPaused + ` THEN 'paused' ELSE j.status END`
