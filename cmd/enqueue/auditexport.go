package main

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
)

// auditExport is one export under way.
type auditExport struct {
	*app

	days  days
	file  string
	actor string
	query store.AuditQuery
	store *store.Store
}

// exportDocument is what audit export --json prints. Its JSON is API.
type exportDocument struct {
	manifest

	File string `json:"file"`
}

func (a *app) auditExportCommand() *cobra.Command {
	e := &auditExport{app: a, actor: a.User}
	cmd := &cobra.Command{
		Use:   "export --from DAY --to DAY -o FILE.zip",
		Short: "Write a pack that tells who gave what to whom, when, and with what result",
		Long: `Writes a ZIP file that stands for itself: changes.csv (a line for each change of
each job that was accepted or has calls in the range, with who asked and what
became of it), calls.csv (every call of these jobs and its answer), events.csv,
seals.csv, a manifest with the result of verifying, and README.txt, which says
how to check it. FILE can be read by its owner only, and appears whole or not at
all. The export is itself written to the audit.

It exits 6 if the audit does not verify; the pack is written all the same, and
says so.`,
		Example:           `  enqueue audit export --from 2026-10-01 --to 2026-10-31 -o october.zip`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return e.run(cmd.Context()) },
	}
	e.days.registerAs(cmd)
	cmd.Flags().StringVarP(&e.file, "output", "o", "", "write to this `FILE`")
	cmd.Flags().StringVar(&e.actor, "requested-by", e.actor, "`WHO` asks for it, for the audit")
	return cmd
}

func (e *auditExport) run(ctx context.Context) error {
	cfg, err := e.settings(config.Query)
	if err != nil {
		return err
	}
	if e.days.from == "" || e.days.to == "" || e.file == "" || e.actor == "" {
		return usageError{err: errors.New("--from, --to, -o and --requested-by must not be empty")}
	}
	if err := checkTexts(e.actor, ""); err != nil {
		return err
	}
	if e.query, err = e.days.query(cfg); err != nil {
		return err
	}
	if e.store, err = openStore(ctx, cfg); err != nil {
		return err
	}
	defer e.store.Close()
	done := exportDocument{File: e.file, manifest: manifest{
		From: e.query.From, To: e.query.To, MadeAt: e.Now().UTC().Truncate(time.Second), MadeBy: e.actor, Version: versionText(),
	}}
	if err := replaceFile(e.file, func(w io.Writer) error { return e.write(ctx, w, &done.manifest) }); err != nil {
		return err
	}
	if err := e.report(done); err != nil {
		return err
	}
	if !done.Verification.Intact {
		return settled{exitJobFailed}
	}
	return nil
}

// write fills the pack, and then writes down that it was taken.
func (e *auditExport) write(ctx context.Context, w io.Writer, m *manifest) error {
	p := &pack{zip: zip.NewWriter(w), manifest: m}
	err := e.store.ReadAudit(ctx, e.query, func(r *store.AuditReader) (err error) {
		if m.Verification, err = r.Verify(ctx); err != nil {
			return err
		}
		return p.addAudit(ctx, r)
	})
	if err != nil {
		return err
	}
	if err := p.close(); err != nil {
		return err
	}
	return e.store.Record(ctx, store.AuditEvent{Actor: e.actor, Event: store.EventExported, Detail: map[string]any{
		"from": m.From, "to": m.To, "files": m.Files, "intact": m.Verification.Intact, "head": m.Verification.Head,
	}})
}

func (e *auditExport) report(done exportDocument) error {
	if e.json {
		return e.emit(done)
	}
	rows := 0
	for _, f := range done.Files {
		rows += f.Rows
	}
	e.sayf("Wrote %s in %s to %s.", plural(rows, "row"), plural(len(done.Files), "file"), printable(e.file))
	if !done.Verification.Intact {
		e.sayf("The audit is NOT intact; the pack says where.")
		e.next("enqueue audit verify")
		return nil
	}
	e.next("unzip -d pack " + shellWord(e.file) + " && cd pack && sha256sum -c SHA256SUMS")
	return nil
}
