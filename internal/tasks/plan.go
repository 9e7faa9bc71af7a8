package tasks

import (
	"slices"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/split"
	"github.com/usher-bi/usher/internal/store"
)

// Stage is a part of the way in of a submission.
type Stage string

// The stages of a submission, in their order.
const (
	StageReading   Stage = "reading"   // counts rows; of a retry only
	StageSplitting Stage = "splitting" // counts changes
	StageWriting   Stage = "writing"   // counts rows
	StageQueueing  Stage = "queueing"  // counts actions whose first tasks are queued
)

// Step says how far a stage is.
type Step struct{ Done, Total int } // a Total of 0 is not known

func (s Submission) tell(stage Stage, step Step) {
	if s.Progress != nil {
		s.Progress(stage, step)
	}
}

// planned is a submission whose rows are split into tasks.
type planned struct {
	sub     Submission
	rows    int
	columns Columns
	tasks   *split.Plan
}

// plan splits the rows that are to be sent: the tasks of each action in a run,
// revokes first.
func plan(sub Submission) planned {
	p := planned{sub: sub}
	if sub.Rows == nil {
		sub.Rows = RowList{}
	}
	p.columns = sub.Rows.Columns()
	p.rows = p.columns.Len
	sub.tell(StageSplitting, Step{Total: p.open()})
	p.tasks = split.Telling(p.columns.Changes, p.columns.Open, func(done int) {
		sub.tell(StageSplitting, Step{Done: done, Total: p.open()})
	})
	p.tasks.GroupActions()
	return p
}

// open is how many rows are to be sent.
func (p planned) open() int {
	if p.columns.Open == nil {
		return p.columns.Changes.Len()
	}
	return len(p.columns.Open)
}

// actions lists the actions of the tasks, in their order.
func (p planned) actions() (list []access.Action) {
	for i := range p.tasks.Len() {
		if action := p.tasks.Action(i); len(list) == 0 || list[len(list)-1] != action {
			list = append(list, action)
		}
	}
	return list
}

// job is what the store writes. Its rows are ordered as the store wants them:
// those of each task, then the settled ones.
func (p planned) job() store.NewJob {
	sub := p.sub
	job := store.NewJob{
		Source: sub.Source, RequestedBy: sub.RequestedBy, Reason: sub.Reason, Lane: sub.Lane,
		IdempotencyKey: sub.Key, Fingerprint: sub.Fingerprint, ParentID: sub.ParentID, Retry: sub.Retry, UpdateRole: sub.UpdateRole, Token: sub.Token,
		Guards: sub.Guards, Header: sub.Header, Input: sub.Input,
		Tasks:    store.Sequence[store.NewTask]{Len: p.tasks.Len(), All: p.newTasks},
		Changes:  store.Sequence[store.NewChange]{Len: p.rows, All: p.newChanges},
		Progress: func(written int) { sub.tell(StageWriting, Step{Done: written, Total: p.rows}) },
	}
	if job.IdempotencyKey == "" {
		job.IdempotencyKey = sub.Fingerprint
	}
	return job
}

func (p planned) newTasks(yield func(store.NewTask) bool) {
	first := 0
	for i := range p.tasks.Len() {
		task := p.tasks.Task(i)
		unsure := len(p.columns.Unsure) > 0 && slices.ContainsFunc(task.Changes, func(row int32) bool { return p.columns.Unsure[row] })
		if !yield(store.NewTask{Rectangle: task.Rectangle, FirstChange: first, Unsure: unsure}) {
			return
		}
		first += len(task.Changes)
	}
}

func (p planned) newChanges(yield func(store.NewChange) bool) {
	for i := range p.tasks.Len() {
		for _, row := range p.tasks.Changes(i) {
			if !yield(store.NewChange{Row: p.sub.Rows.Row(int(row)).Row, Task: i}) {
				return
			}
		}
	}
	if p.rows == p.open() {
		return
	}
	open := p.columns.Open
	for i := range p.rows {
		if p.columns.Open == nil && i < p.open() {
			continue
		}
		if len(open) > 0 && int(open[0]) == i {
			open = open[1:]
			continue
		}
		row := p.sub.Rows.Row(i)
		if !yield(store.NewChange{Row: row.Row, Task: store.NoTask, Exception: row.Settled}) {
			return
		}
	}
}
