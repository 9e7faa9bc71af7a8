package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/access"
	"github.com/usher-bi/usher/internal/serve"
	"github.com/usher-bi/usher/internal/store"
)

// tokenDocument is what --json prints for a new token. Its JSON is API.
type tokenDocument struct {
	Name       string             `json:"name"`
	Source     string             `json:"source"`
	Operations []access.Operation `json:"actions"`
	LaneMost   store.Lane         `json:"lane_max"`
	Token      string             `json:"token"` // it is shown this once
}

// tokensDocument is what --json prints for all tokens. Its JSON is API.
type tokensDocument struct {
	Tokens []store.Token `json:"tokens"`
}

// revokedDocument is what --json prints for a token that was revoked. Its JSON is
// API.
type revokedDocument struct {
	Name    string `json:"name"`
	Changed bool   `json:"changed"`
}

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Say which programs may submit jobs over HTTP",
		Long: `Each program that uses "enqueue serve" has a token of its own: for one source, whose
jobs it submits and sees, for grants, revokes or both, and up to a lane. A token
is shown once, when it is made. Only its hash is kept.`,
		Example: `  enqueue token add hr-feed --source hr --actions grant,revoke --lane-max urgent
  enqueue token list
  enqueue token revoke hr-feed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.tokenAddCommand(), a.tokenListCommand(), a.tokenRevokeCommand())
	return cmd
}

var operations = []access.Operation{access.Grant, access.Revoke}

func (a *app) tokenAddCommand() *cobra.Command {
	t := store.Token{LaneMost: store.Normal}
	o := store.Order{Actor: a.User}
	cmd := &cobra.Command{
		Use:   "add NAME --source SOURCE",
		Short: "Make a token and show it, this once",
		Long: `Makes a token and prints it. Nobody can show it again: keep it where the program
keeps its secrets. NAME stands in the audit and in logs, and is used once and for
all.`,
		Example: `  enqueue token add hr-feed --source hr --actions grant,revoke --lane-max urgent
  enqueue token add nightly --source nightly --actions grant --lane-max bulk > token`,
		Args:              tokenName,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			t.Name = args[0]
			return a.tokenAdd(cmd.Context(), t, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&t.Source, "source", "", "`NAME` of the source that it stands for")
	flags.Var(wordsFlag[access.Operation]{&t.Operations, operations}, "actions", "what its rows may ask for: "+join(operations)+" (default: both)")
	flags.Var(wordFlag[store.Lane]{&t.LaneMost, store.Lanes()}, "lane-max", "the most urgent `LANE` for its jobs: "+join(store.Lanes()))
	ordered(cmd, &o)
	complete(cmd, "actions", operations)
	complete(cmd, "lane-max", store.Lanes())
	_ = cmd.RegisterFlagCompletionFunc("source", a.completeSource) // it fails only for a flag that does not exist
	return cmd
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// tokenName takes the name of a token and nothing else.
func tokenName(_ *cobra.Command, args []string) error {
	if len(args) != 1 || !plainName.MatchString(args[0]) {
		return errors.New("give a NAME of letters, digits, dots, dashes and underscores, and nothing else")
	}
	return nil
}

func (a *app) tokenAdd(ctx context.Context, t store.Token, o store.Order) error {
	if err := checkTexts(t.Source, o.Actor, o.Reason); err != nil {
		return err
	}
	if t.Source == "" || o.Actor == "" {
		return usageError{err: errors.New("--source and --requested-by must not be empty")}
	}
	if t.Operations == nil {
		t.Operations = operations
	}
	return a.reading(ctx, func(st *store.Store) error {
		text, hash := serve.NewToken()
		err := st.AddToken(ctx, t, hash, o)
		if errors.Is(err, store.ErrTokenExists) {
			return refusal{code: "token_exists", message: err.Error(), advice: "Choose another name, such as " + t.Name + "-2."}
		}
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(tokenDocument{Name: t.Name, Source: t.Source, Operations: t.Operations, LaneMost: t.LaneMost, Token: text})
		}
		if _, err := fmt.Fprintln(a.Stdout, text); err != nil {
			return err
		}
		a.sayf("This is the token %s, for source %s, %s, up to lane %s. It is not shown again.",
			t.Name, printable(t.Source), join(t.Operations), t.LaneMost)
		a.next("enqueue serve", "enqueue token revoke "+t.Name)
		return nil
	})
}

func (a *app) tokenListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tokens, and when they were used",
		Example: `  enqueue token list
  enqueue token list --json | jq -r '.tokens[] | select(.revoked_at == null).name'`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return a.tokenList(cmd.Context()) },
	}
}

func (a *app) tokenList(ctx context.Context) error {
	return a.reading(ctx, func(st *store.Store) error {
		tokens, err := st.Tokens(ctx)
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(tokensDocument{Tokens: append([]store.Token{}, tokens...)})
		}
		if len(tokens) == 0 {
			a.sayf("There are no tokens.")
			a.next("enqueue token add NAME --source SOURCE")
			return nil
		}
		w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "TOKEN\tSOURCE\tACTIONS\tLANE MAX\tMADE\tLAST USED\tREVOKED")
		for _, t := range tokens {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.Name, printable(t.Source), join(t.Operations), t.LaneMost,
				timestamp(&t.CreatedAt), timestamp(t.LastUsedAt), timestamp(t.RevokedAt))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		a.next("enqueue token add NAME --source SOURCE", "enqueue token revoke NAME")
		return nil
	})
}

func (a *app) tokenRevokeCommand() *cobra.Command {
	o := store.Order{Actor: a.User}
	cmd := &cobra.Command{
		Use:     "revoke NAME",
		Short:   "End a token at once",
		Long:    `Ends a token: the next request with it is refused. Its jobs go on.`,
		Example: `  enqueue token revoke hr-feed --reason "left in a log"`,
		Args:    tokenName,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return a.completeToken(cmd.Context(), args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.tokenRevoke(cmd.Context(), args[0], o) },
	}
	ordered(cmd, &o)
	return cmd
}

// completeToken suggests the tokens in force.
func (a *app) completeToken(ctx context.Context, args []string) (found []cobra.Completion) {
	ctx, cancel := context.WithTimeout(ctx, completionLimit)
	defer cancel()
	_ = a.reading(ctx, func(st *store.Store) error { // no suggestion is no harm
		tokens, err := st.Tokens(ctx)
		for _, t := range tokens {
			if t.RevokedAt == nil && len(args) == 0 {
				found = append(found, t.Name)
			}
		}
		return err
	})
	return found
}

func (a *app) tokenRevoke(ctx context.Context, name string, o store.Order) error {
	if err := checkTexts(o.Actor, o.Reason); err != nil {
		return err
	}
	if o.Actor == "" {
		return usageError{err: errors.New("--requested-by must not be empty")}
	}
	return a.reading(ctx, func(st *store.Store) error {
		changed, err := st.RevokeToken(ctx, name, o)
		if errors.Is(err, store.ErrNotFound) {
			return refusal{code: "token_not_found", message: "there is no token " + name, advice: "Next: enqueue token list"}
		}
		if err != nil {
			return err
		}
		if a.json {
			return a.emit(revokedDocument{Name: name, Changed: changed})
		}
		text := name + " is revoked: the next request with it is refused.\n"
		if !changed {
			text = name + " was revoked already.\n"
		}
		_, err = fmt.Fprint(a.Stdout, text)
		a.next("enqueue token list")
		return err
	})
}
