package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// personDocument is what --json prints for a person. Its JSON is API.
type personDocument struct {
	Principal string       `json:"principal"`
	Open      bool         `json:"open"` // something that was taken away may still be there
	Events    []view.Event `json:"events"`
	Access    []accessView `json:"access"`
}

// accessView is what a person has of one resource. Its JSON is API.
type accessView struct {
	ResourceType access.ResourceType `json:"resource_type"`
	ResourceID   string              `json:"resource_id"`
	State        store.AccessState   `json:"state"`
	Role         string              `json:"role,omitempty"`
	ExpiresOn    string              `json:"expires_on,omitempty"`
	Asked        []askedView         `json:"asked"` // the newest first
}

// askedView is one change of an access. Its JSON is API.
type askedView struct {
	Action      access.Operation `json:"action"`
	Role        string           `json:"role,omitempty"`
	ExpiresOn   string           `json:"expires_on,omitempty"`
	Status      store.Status     `json:"status"`
	Code        string           `json:"code,omitempty"`
	Message     string           `json:"message,omitempty"`
	JobID       string           `json:"job_id"`
	Line        int              `json:"line"`
	Source      string           `json:"source"`
	RequestedBy string           `json:"requested_by"`
	Reason      string           `json:"reason,omitempty"`
	Ticket      string           `json:"ticket,omitempty"`
	AcceptedAt  time.Time        `json:"accepted_at"`
	FinishedAt  *time.Time       `json:"finished_at"`
}

// openDocument is what --json prints for the open items. Its JSON is API.
type openDocument struct {
	Open  []view.Event `json:"open"`  // of which a revoke is not known to be done
	Stuck []view.Event `json:"stuck"` // that are due and cannot be applied
	Idle  []view.Event `json:"idle"`  // leavers of late from whom nothing was revoked
}

const personLong = `Shows everything that is known of one person: what HR events said, and for each
resource what was asked, what came of it, and what is in force. It is what this system
did; what was given by hand in Quick BI it does not know.

  in_force  granted, and not expired       revoking  a revoke has not ended
  granting  a grant has not ended          unsure    a call was never answered
  expired   its last day is over           gone      revoked, or never granted

Once everything is revoked from a leaver, Quick BI is asked what is left:

  gone         asked, and it is not there    answered     it cannot tell, and answered
  still_there  revoked, and there all the                 that it was revoked
               same: it is revoked again     not_granted  there, but not granted by
  unread       it did not tell: it is                     this system: it stays
               asked again

With --open it lists what is not settled: leavers and movers of whom a revoke is not
known to be done, and events that are due and cannot be applied. So it does with leavers
from whom nothing was revoked: of the last 7 days those for whom there was nothing to
revoke, and of the last 30 days those that another event superseded.`

func (a *app) personCommand() *cobra.Command {
	var open bool
	cmd := &cobra.Command{
		Use:   "person ID | --open",
		Short: "Show everything asked, granted, failed and expiring for one person",
		Long:  personLong,
		Example: `  enqueue person 46e53a5ba4b6
  enqueue person 46e53a5ba4b6 --json
  enqueue person --open`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case open && len(args) > 0:
				return errors.New("name a person, or give --open for all of them")
			case !open && (len(args) != 1 || args[0] == ""):
				return errors.New("name the Quick BI id of one person, or give --open")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if open {
				return a.openPeople(cmd.Context())
			}
			return a.person(cmd.Context(), args[0])
		},
	}
	cmd.Flags().BoolVar(&open, "open", false, "list what is not settled, of everybody")
	return cmd
}

func (a *app) person(ctx context.Context, id string) error {
	if err := checkTexts(id); err != nil {
		return err
	}
	cfg, err := a.settings(config.Query)
	if err != nil {
		return err
	}
	return a.reading(ctx, func(st *store.Store) error {
		found, err := st.EventsOf(ctx, id)
		if err != nil {
			return err
		}
		d := personDocument{Principal: id, Events: view.Events(found), Access: []accessView{}}
		d.Open = slices.ContainsFunc(found, func(e store.PersonEvent) bool { return e.Open })
		f := store.GrantedFilter{Principal: access.Principal{Type: access.User, ID: id}, Location: cfg.Location}
		if err := st.Granted(ctx, f, func(g store.Granted) error {
			d.Access = append(d.Access, accessViewOf(g))
			return nil
		}); err != nil {
			return err
		}
		slices.SortFunc(d.Access, func(a, b accessView) int {
			return strings.Compare(string(a.ResourceType)+":"+a.ResourceID, string(b.ResourceType)+":"+b.ResourceID)
		})
		if a.json {
			return a.emit(d)
		}
		return a.printPerson(d)
	})
}

func accessViewOf(g store.Granted) accessView {
	v := accessView{
		ResourceType: g.Resource.Type, ResourceID: g.Resource.ID, State: g.State, Role: g.Terms.Role, ExpiresOn: dayText(g.Terms.ExpiresOn),
	}
	for _, c := range g.Asked {
		v.Asked = append(v.Asked, askedView{
			Action: c.Operation, Role: c.Terms.Role, ExpiresOn: dayText(c.Terms.ExpiresOn), Status: c.Status, Code: c.Code, Message: c.Message,
			JobID: c.Job, Line: c.Line, Source: c.Source, RequestedBy: c.RequestedBy, Reason: c.Reason, Ticket: c.Ticket, AcceptedAt: c.AcceptedAt, FinishedAt: c.FinishedAt,
		})
	}
	return v
}

func dayText(d access.Date) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

func (a *app) printPerson(d personDocument) error {
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	if len(d.Events)+len(d.Access) == 0 {
		a.sayf("Nothing is known of %s.", printable(d.Principal))
		a.next("enqueue events FILE", "enqueue shares "+shellWord(d.Principal))
		return nil
	}
	if len(d.Events) > 0 {
		printEvents(w, d.Events)
		fmt.Fprintln(w)
	}
	if len(d.Access) > 0 {
		fmt.Fprintln(w, "TYPE\tRESOURCE\tSTATE\tROLE\tEXPIRES\tNEWEST\tJOB\tSOURCE")
	}
	for _, v := range d.Access {
		newest := v.Asked[0]
		what := string(newest.Action) + " " + string(newest.Status)
		if newest.Code != "" {
			what += " (" + newest.Code + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ResourceType, printable(v.ResourceID), v.State, dashed(printable(v.Role)),
			dashed(v.ExpiresOn), what, newest.JobID, printable(newest.Source))
	}
	printReadBack(w, d.Events)
	if err := w.Flush(); err != nil {
		return err
	}
	if d.Open {
		a.sayf("Open: something that was taken away may still be there.")
	}
	a.next("enqueue person "+shellWord(d.Principal)+" --json", "enqueue failures JOB")
	return nil
}

// printReadBack prints what Quick BI said that is left of the newest leaver's event
// that it was asked about.
func printReadBack(w *tabwriter.Writer, found []view.Event) {
	at := slices.IndexFunc(found, func(e view.Event) bool { return e.ReadBack != nil })
	if at < 0 {
		return
	}
	e := found[at]
	fmt.Fprintln(w, "\nREAD BACK\tTYPE\tRESOURCE\tEVENT\tREAD BY\tJUDGED\tREMARK")
	for _, r := range e.ReadBack.Found {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Finding, dashed(string(r.ResourceType)), printable(r.ResourceID), printable(e.ID),
			dashed(e.ReadBack.JobID), timestamp(&e.ReadBack.JudgedAt), dashed(printable(r.Detail)))
	}
}

// printEvents prints a table of events.
func printEvents(w *tabwriter.Writer, found []view.Event) {
	fmt.Fprintln(w, "EFFECTIVE\tEVENT\tTYPE\tPROFILE\tSTATUS\tOPEN\tJOB\tREMARK")
	for _, e := range found {
		remark := e.Problem
		if e.EndedBy != "" {
			remark = "by " + e.EndedBy
		}
		if e.Note != "" {
			remark = strings.TrimPrefix(remark+": "+e.Note, ": ")
		}
		profile := e.Profile
		if e.Version != "" {
			profile += "@" + e.Version
		}
		open := "-"
		if e.Open {
			open = "open"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", timestamp(e.EffectiveAt), printable(e.ID), e.Type, dashed(printable(profile)),
			e.Status, open, dashed(e.JobID), dashed(printable(remark)))
	}
}

func (a *app) openPeople(ctx context.Context) error {
	return a.reading(ctx, func(st *store.Store) error {
		open, err := st.OpenEvents(ctx)
		if err != nil {
			return err
		}
		stuck, err := st.StuckEvents(ctx)
		if err != nil {
			return err
		}
		idle, err := st.IdleLeavers(ctx)
		if err != nil {
			return err
		}
		d := openDocument{Open: view.Events(open), Stuck: view.Events(stuck), Idle: view.Events(idle)}
		if a.json {
			return a.emit(d)
		}
		if len(open)+len(stuck)+len(idle) == 0 {
			_, err := fmt.Fprintln(a.Stdout, "Nothing is open.")
			return err
		}
		w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
		printOpen(w, slices.Concat(d.Open, d.Stuck, d.Idle))
		if err := w.Flush(); err != nil {
			return err
		}
		a.next("enqueue person ID", "enqueue failures JOB")
		return nil
	})
}

// printOpen prints a table of what is not settled.
func printOpen(w *tabwriter.Writer, found []view.Event) {
	fmt.Fprintln(w, "PERSON\tEVENT\tTYPE\tSTATUS\tSINCE\tJOB\tREMARK")
	for _, e := range found {
		since := e.AppliedAt
		if since == nil {
			since = e.EffectiveAt
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(e.Principal), printable(e.ID), e.Type, e.Status, timestamp(since), dashed(e.JobID), dashed(printable(cmp.Or(e.Problem, e.Note))))
	}
}
