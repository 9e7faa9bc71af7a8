package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/people"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

const eventsLong = `Reads what an HR feed tells of people, one JSON object a line, checks all of it, and
writes it down. FILE - is standard input.

  {"event_id":"hr-1","type":"joiner","principal":"46e53a5ba4b6","profile":"analyst","effective_at":"2026-12-01T00:00:00+08:00"}
  {"event_id":"hr-2","type":"mover","principal":"46e53a5ba4b6","profile":"lead","effective_at":"2027-03-01T00:00:00+08:00"}
  {"event_id":"hr-3","type":"leaver","principal":"de4bc5f94291","effective_at":"2026-11-22T18:00:00+08:00"}
  {"event_id":"hr-4","type":"withdraw","withdraws":"hr-2"}

A worker applies each event once it is effective. A joiner or mover is granted what
the profile holds, and what the profile before it alone gave is revoked. From a leaver
everything is revoked that this system ever granted, in the urgent lane, and it stays
open until that is done. An event that is effective before one that was applied for
the same person is superseded. What is withdrawn before it is applied never is.

One bad line rejects the file. An event_id is accepted once for a source: the same
event again changes nothing, another one under its id is refused.`

func (a *app) eventsCommand() *cobra.Command {
	r := store.EventsRequest{Source: "hr", RequestedBy: a.User}
	cmd := &cobra.Command{
		Use:   "events FILE|-",
		Short: "Take in what an HR feed tells of people: joiners, movers, leavers",
		Long:  eventsLong,
		Example: `  enqueue events today.ndjson
  export-hr | enqueue events - --source hr --json
  echo '{"event_id":"hr-4","type":"withdraw","withdraws":"hr-2"}' | enqueue events -`,
		Args: oneArg("the FILE of events, or - for standard input"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"ndjson", "jsonl", "json"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.events(cmd.Context(), args[0], r) },
	}
	cmd.Flags().StringVar(&r.Source, "source", r.Source, "`NAME` of the feed; an event_id is accepted once for it")
	cmd.Flags().StringVar(&r.RequestedBy, "requested-by", r.RequestedBy, "`WHO` asks for it, for the audit")
	return cmd
}

func (a *app) events(ctx context.Context, file string, r store.EventsRequest) error {
	if err := checkTexts(r.Source, r.RequestedBy); err != nil {
		return err
	}
	if r.Source == "" || r.RequestedBy == "" {
		return usageError{err: errors.New("--source and --requested-by must not be empty")}
	}
	lines, err := readInput(ctx, a.Stdin, input[[]people.Line]{name: file, parse: func(in io.ReadSeeker) ([]people.Line, error) { return people.ReadEvents(in) }})
	if err != nil {
		return rejectedPeople(err, "event")
	}
	r.Events = lines
	return a.reading(ctx, func(st *store.Store) error {
		done, err := st.AcceptEvents(ctx, r)
		if conflict, ok := errors.AsType[*store.EventConflictError](err); ok {
			return rejectEvents(conflict, len(lines))
		}
		if err != nil {
			return err
		}
		return a.tellEvents(r.Source, done)
	})
}

func (a *app) tellEvents(source string, done []store.AcceptedEvent) error {
	d := view.AcceptedEventsOf(source, done)
	if a.json {
		return a.emit(d)
	}
	if _, err := fmt.Fprintf(a.Stdout, "%s accepted, %s known already.\n", plural(d.Accepted, "event"), commas(d.Replayed)); err != nil {
		return err
	}
	a.warn(d.Warnings)
	a.next("enqueue person ID", "enqueue person --open")
	return nil
}

// rejectedPeople words a document of people that cannot be used. things are what
// it holds.
func rejectedPeople(err error, thing string) error {
	bad, ok := errors.AsType[*people.RejectedError](err)
	if !ok {
		return err
	}
	return &rejection{
		message: fmt.Sprintf("%s in %s; nothing was written or sent", plural(len(bad.Problems)+bad.Omitted, "problem"), plural(bad.Entries, thing)),
		advice:  "Correct them and give the command again.", rows: bad.Entries, errors: rowErrors(bad.Problems),
	}
}

// rejectEvents words events that contradict what is known.
func rejectEvents(e *store.EventConflictError, events int) error {
	r := &rejection{message: e.Error(), advice: "Correct them and give the command again.", rows: events, errors: rowErrors(e.Problems)}
	for _, p := range e.Problems {
		r.reused = r.reused || p.Code == store.CodeEventReused
	}
	return r
}

func rowErrors(problems []people.Problem) []intake.RowError {
	out := make([]intake.RowError, len(problems))
	for i, p := range problems {
		out[i] = intake.RowError{Line: p.Line, Column: p.Field, Code: p.Code, Message: p.Message}
	}
	return out
}

// maxProfilesBytes is how large a file of profiles may be.
const maxProfilesBytes = 8 << 20

// profilesFile is a file of profiles that was read.
type profilesFile struct {
	*people.Profiles

	content []byte
}

func readProfiles(in io.ReadSeeker) (profilesFile, error) {
	content, err := io.ReadAll(io.LimitReader(in, maxProfilesBytes+1))
	if err != nil {
		return profilesFile{}, fmt.Errorf("reading profiles: %w", err)
	}
	if len(content) > maxProfilesBytes {
		return profilesFile{}, &people.RejectedError{Problems: []people.Problem{{
			Line: 1, Code: intake.CodeFileTooLarge, Message: fmt.Sprintf("the file is larger than %d MiB", maxProfilesBytes>>20),
		}}}
	}
	p, err := people.ParseProfiles(content)
	return profilesFile{Profiles: p, content: content}, err
}
