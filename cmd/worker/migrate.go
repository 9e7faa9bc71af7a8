package main

import (
	"context"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
)

// migratedDocument is what migrate --json prints. Its JSON is API.
type migratedDocument struct {
	Migrated bool   `json:"migrated"`
	Schema   int    `json:"schema"`             // the newest migration in the database
	AppRole  string `json:"app_role,omitempty"` // has its rights now
}

func (a *app) migrateCommand() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Brings the database to the version of this program, and exits",
		Long: `Brings the database to the version of this program, and exits. DATABASE_URL
names the role that shall own the tables.

With --app-role, another role is given what worker run and enqueue need, and
nothing more: with that in their DATABASE_URL, neither they nor whoever has
their password can change or delete a row of the audit. Repeat it after each
upgrade. The role has to be there: CREATE ROLE usher_app LOGIN PASSWORD '...'.`,
		Example: `  DATABASE_URL=postgres://usher@localhost/usher worker migrate --app-role usher_app`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.migrate(cmd.Context(), role) },
	}
	cmd.Flags().StringVar(&role, "app-role", "", "the `ROLE` that worker run and enqueue connect as")
	return cmd
}

func (a *app) migrate(ctx context.Context, role string) error {
	cfg, err := a.settings(config.Migrate)
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx, cfg.DatabaseURL.Reveal()); err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.DatabaseURL.Reveal(), 1)
	if err != nil {
		return err
	}
	defer db.Close()
	schema, err := db.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if err := db.MakePartitions(ctx); err != nil {
		return err
	}
	if role != "" {
		if err := db.GrantRole(ctx, role); err != nil {
			return err
		}
	}
	log := newLogger(cfg, a.stderr)
	log.Info().Int("schema", schema).Msg("the database is at the version of this program")
	if a.json {
		return a.emit(migratedDocument{Migrated: true, Schema: schema, AppRole: role})
	}
	return nil
}

// warnOfRights says so when the worker could rewrite what it writes down.
func warnOfRights(ctx context.Context, db *store.Store, log zerolog.Logger) error {
	why, err := db.MayRewriteAudit(ctx)
	if err != nil || why == "" {
		return err
	}
	log.Warn().Msg("the role in DATABASE_URL " + why + ", so it could rewrite the audit; " +
		"use another, which worker migrate --app-role gives its rights")
	return nil
}
