package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/store"
)

// forgottenDocument is what --json prints when accounts were forgotten. Its JSON is
// API.
type forgottenDocument struct {
	Forgotten int64 `json:"forgotten"`
}

func (a *app) accountsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "accounts",
		Short:   "Have accounts that rows name looked up again",
		Example: "  enqueue accounts forget --unknown",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.forgetAccountsCommand())
	return cmd
}

func (a *app) forgetAccountsCommand() *cobra.Command {
	var unknown bool
	cmd := &cobra.Command{
		Use:   "forget {ACCOUNT... | --unknown}",
		Short: "Look accounts up again when rows name them next",
		Long: `Who has an account is remembered for ACCOUNT_MAX_AGE, and that nobody has it, or
several users, for ACCOUNT_UNKNOWN_MAX_AGE. What is forgotten is looked up again when
rows name it next: after somebody was added to Quick BI, or has got another user.`,
		Example: `  enqueue accounts forget alice corp/bob
  enqueue accounts forget --unknown`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(_ *cobra.Command, args []string) error {
			if unknown == (len(args) > 0) {
				return errors.New("name ACCOUNTs, or give --unknown for all that nobody has, or several users")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.forgetAccounts(cmd.Context(), args) },
	}
	cmd.Flags().BoolVar(&unknown, "unknown", false, "forget all accounts that nobody has, or several users")
	return cmd
}

func (a *app) forgetAccounts(ctx context.Context, names []string) error {
	if err := checkTexts(names...); err != nil {
		return err
	}
	accounts := make([]store.Account, len(names))
	for i, name := range names {
		parsed, ok := intake.ParseAccount(name)
		if !ok {
			return usageError{err: fmt.Errorf("%q is no account; write its name, or parent/name", name)}
		}
		accounts[i] = store.Account(parsed)
	}
	return a.reading(ctx, func(st *store.Store) error {
		n, err := st.ForgetAccounts(ctx, accounts)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(forgottenDocument{Forgotten: n})
		}
		_, err = fmt.Fprintf(a.Stdout, "%s forgotten.\n", plural(int(n), "account"))
		a.next("enqueue csv FILE")
		return err
	})
}
