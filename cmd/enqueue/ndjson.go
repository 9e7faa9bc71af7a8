package main

import (
	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
)

const ndjsonLong = `Reads changes from one JSON object a line, checks all of them, and submits them as
one job. Prints the job's id. FILE - is standard input.

  {"row_id":"hr-17","action":"grant","principal":"46e53a5ba4b6","resource_type":"qa_resource","resource_id":"6b407e50e774","expires_on":"2026-12-31"}
  {"row_id":"hr-18","action":"revoke","principal":"de4bc5f94291","resource_type":"workspace","resource_id":"95296e95-ca89","reason":"leaver"}

The fields are the columns of "enqueue csv", and everything that its help says
holds here. Values are strings; null is the same as leaving a field out. A number
is refused where an id is meant, because digits may have been lost before it came
here. Fields without a meaning are carried through to the results.`

func (a *app) ndjsonCommand() *cobra.Command {
	r := csvRequest{source: "ndjson", requestedBy: a.User, lane: store.Normal, read: intake.ReadNDJSON}
	cmd := &cobra.Command{
		Use:   "ndjson FILE|-",
		Short: "Submit a file of one JSON object a line as a job",
		Long:  ndjsonLong,
		Example: `  enqueue ndjson people.ndjson --dry-run
  enqueue ndjson people.ndjson --reason "Q4 audit" --wait
  export-people | enqueue ndjson - --source hr-nightly --key people-2026-11-22 --json`,
		Args: oneArg("the FILE to submit, or - for standard input"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"ndjson", "jsonl", "json"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.file = args[0]
			return a.csv(cmd.Context(), r)
		},
	}
	r.register(cmd)
	return cmd
}
