package main

import (
	"context"
	"errors"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/view"
)

// resultsJSON prints one document, {"job_id":…,"header":[…],"results":[…]},
// row by row. An error in its middle closes it with an "error" beside the
// results read so far.
func (a *app) resultsJSON(ctx context.Context, r view.Results) error {
	doc, layout := a.newObject(), intake.LayoutOf(r.Header)
	err := errors.Join(doc.field("job_id", r.JobID), doc.field("header", r.Header))
	if err == nil {
		err = doc.list("results", func(add func(any) error) error {
			return r.Each(ctx, func(res store.Result) error { return add(r.Document(layout, res)) })
		})
	}
	return doc.end(err)
}
