package serve_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/test/client"
)

// A client that a public generator made of the description can do all that a
// feed does.
func TestAGeneratedClientFollowsAJob(t *testing.T) {
	t.Parallel()

	w := setup(t)
	ctx := t.Context()
	c, err := client.NewClientWithResponses(w.url, client.WithHTTPClient(w.http), client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+w.token)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	until := "2026-12-31"
	rows := client.Rows{Rows: []client.Row{
		{Action: "grant", Principal: "user-1", ResourceType: "qa_resource", ResourceId: "res-1", ExpiresOn: &until},
		{Action: "grant", Principal: "user-2", ResourceType: "qa_resource", ResourceId: "res-1", ExpiresOn: &until},
	}}
	created, err := c.CreateJobWithResponse(ctx, &client.CreateJobParams{IdempotencyKey: "joiners-17"}, rows)
	if err != nil || created.JSON202 == nil {
		t.Fatalf("submitting: %v, %s", err, created.Body)
	}
	id := created.JSON202.Id
	again, err := c.CreateJobWithResponse(ctx, &client.CreateJobParams{IdempotencyKey: "joiners-17"}, rows)
	if err != nil || again.JSON200 == nil || again.JSON200.Id != id {
		t.Fatalf("submitting again: %v, %s", err, again.Body)
	}
	rows.Rows[0].ExpiresOn = new("2020-01-01")
	refused, err := c.CreateJobWithResponse(ctx, &client.CreateJobParams{IdempotencyKey: "joiners-18"}, rows)
	if err != nil || refused.ApplicationproblemJSON422 == nil || refused.ApplicationproblemJSON422.Code != "input_rejected" {
		t.Fatalf("submitting what is wrong: %v, %s", err, refused.Body)
	}

	w.work("user-2")
	job, err := c.GetJobWithResponse(ctx, id, &client.GetJobParams{})
	if err != nil || job.JSON200 == nil || job.JSON200.Outcome != client.JobOutcomePartial || job.JSON200.Counts.Failed != 1 {
		t.Fatalf("following: %v, %s", err, job.Body)
	}
	results, err := c.GetResultsWithResponse(ctx, id, &client.GetResultsParams{Status: new("failed")})
	if err != nil || !strings.Contains(string(results.Body), "user-2") || strings.Contains(string(results.Body), "user-1") {
		t.Fatalf("results: %v, %s", err, results.Body)
	}

	retried, err := c.RetryJobWithResponse(ctx, id, &client.RetryJobParams{}, client.Again{})
	if err != nil || retried.JSON202 == nil || retried.JSON202.Counts.Total != 1 || *retried.JSON202.ParentId != id {
		t.Fatalf("retrying: %v, %s", err, retried.Body)
	}
	canceled, err := c.CancelJobWithResponse(ctx, retried.JSON202.Id, &client.CancelJobParams{}, client.Because{Reason: new("enough")})
	if err != nil || canceled.JSON200 == nil || canceled.JSON200.Status != client.JobStatus(store.JobCanceled) {
		t.Fatalf("canceling: %v, %s", err, canceled.Body)
	}
	jobs, err := c.ListJobsWithResponse(ctx, &client.ListJobsParams{})
	if err != nil || jobs.JSON200 == nil || len(jobs.JSON200.Jobs) != 2 {
		t.Fatalf("listing: %v, %s", err, jobs.Body)
	}
}
