//go:build unix

package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// submission is one file and how it is handed in.
type submission struct {
	at     time.Duration // after the start of the run
	name   string        // of the file, and its key
	lane   string
	source string
	rows   []change
	kill   syscall.Signal // sent to the first attempt; 0 for none
	after  time.Duration  // that long after it started

	// Instead of a file, the name of an earlier submission:
	retry  string // whose failures are sent again
	cancel string // that is canceled
}

const (
	submitLimit = 60 * time.Second // for one attempt of the command
	submitTries = 60
	interrupted = 130
)

// submit hands a file in until it is accepted, as a nightly script would, and
// returns the job's id.
func (r *rig) submit(ctx context.Context, s submission) string {
	path := r.file(s.name + ".csv")
	if err := r.write(path, s); err != nil {
		r.findf("writing a file: %v", err)
		return ""
	}
	args := []string{"csv", path, "--json", "--lane", s.lane, "--source", s.source, "--key", s.name, "--requested-by", "chaos"}
	for try := range submitTries {
		kill := s.kill
		if try > 0 {
			kill = 0
		}
		code, out := r.enqueue(ctx, kill, s.after, args...)
		r.notef("submitting %s (%d rows, %s): exit code %d", s.name, len(s.rows), s.lane, code)
		switch {
		case code == 0:
			return jobID(out)
		case ctx.Err() != nil:
			return ""
		case kill != 0, code == unreachable && r.maybeAway(), code == interrupted:
		case strings.Contains(out, "the job was accepted as") && r.maybeAway(): // and could not be shown any more
		default:
			r.findf("enqueue csv %s ended with code %d: %s", s.name, code, out)
			return ""
		}
		pause(ctx, restartAfter)
	}
	r.findf("enqueue csv %s was not accepted in %d attempts", s.name, submitTries)
	return ""
}

// ask has the product do something about a job until it is done, or refused
// for a reason that the job may well give: it has ended, or nothing failed.
func (r *rig) ask(ctx context.Context, args ...string) {
	args = append(args, "--json")
	for range submitTries {
		code, out := r.enqueue(ctx, 0, 0, args...)
		r.notef("enqueue %s: exit code %d", strings.Join(args, " "), code)
		switch {
		case code == 0, strings.Contains(out, "nothing_to_retry"), strings.Contains(out, "job_ended"):
			return
		case code == unreachable && r.maybeAway():
		default:
			r.findf("enqueue %s ended with code %d: %s", strings.Join(args, " "), code, out)
			return
		}
		if !pause(ctx, restartAfter) {
			return
		}
	}
	r.findf("enqueue %s was not done in %d attempts", strings.Join(args, " "), submitTries)
}

func (r *rig) retry(ctx context.Context, id string) {
	r.ask(ctx, "retry", id, "--all", "--requested-by", "chaos")
}

// enqueue runs a command to its end, or kills it a while after its start.
func (r *rig) enqueue(ctx context.Context, kill syscall.Signal, after time.Duration, args ...string) (code int, stdout string) {
	out, err := os.CreateTemp(r.dir, "out-")
	if err != nil {
		return -1, err.Error()
	}
	defer os.Remove(out.Name())
	defer out.Close()
	p, err := launch(command{path: r.programs.enqueue, args: args, env: r.env("enqueue"), log: r.file("enqueue.log"), out: out})
	if err != nil {
		return -1, err.Error()
	}
	if kill != 0 && pause(ctx, after) {
		p.signal(kill)
	}
	code, inTime := p.wait(submitLimit)
	if !inTime {
		r.findf("enqueue %s did not end within %s", strings.Join(args, " "), submitLimit)
	}
	text, err := os.ReadFile(filepath.Clean(out.Name()))
	if err != nil {
		return code, err.Error()
	}
	return code, string(text)
}

func jobID(document string) string {
	var job struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal([]byte(document), &job) // without an id there is nothing to retry
	return job.ID
}

// write makes the file of a submission, and remembers what it asks for.
func (r *rig) write(path string, s submission) error {
	var text strings.Builder
	out := csv.NewWriter(&text)
	_ = out.Write([]string{"row_id", "action", "principal", "resource_type", "resource_id", "role", "expires_on"})
	for i, c := range s.rows {
		_ = out.Write([]string{fmt.Sprintf("%s-%d", s.name, i+1), c.op, c.user, c.kind, c.resource, c.role(), c.expires})
	}
	out.Flush() // a builder takes everything
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range s.rows {
		r.asked[change{pair: c.pair, op: c.op}] = true
	}
	return os.WriteFile(path, []byte(text.String()), 0o600)
}
