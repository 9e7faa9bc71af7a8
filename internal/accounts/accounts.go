// Package accounts finds out who has the accounts that rows name in place of ids.
// What was looked up is remembered in Postgres for a while.
package accounts

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/usher-bi/usher/internal/intake"
	"github.com/usher-bi/usher/internal/limit"
	"github.com/usher-bi/usher/internal/quickbi"
	"github.com/usher-bi/usher/internal/store"
	"github.com/usher-bi/usher/internal/tasks"
)

// Cache remembers who has an account.
type Cache interface {
	AccountOwners(ctx context.Context, accounts []store.Account, ages store.AccountAges) (map[store.Account]store.AccountOwner, error)
	KeepAccounts(ctx context.Context, found map[store.Account]store.AccountOwner) error
	Limits(ctx context.Context) ([]store.Limit, error)
}

// Directory is Quick BI.
type Directory interface {
	QueryUserInfoByAccount(ctx context.Context, n quickbi.AccountName) (quickbi.QueryUserInfoByAccountResponse, error)
}

// Options says what a Resolver works with. All is required.
type Options struct {
	Cache     Cache
	Ages      store.AccountAges // of what is remembered
	Redis     redis.UniversalClient
	PerSecond float64 // look-ups of all processes together, unless an operator has set another rate

	// Connect returns Quick BI. It is asked when an account is not remembered,
	// so that who needs no look-up needs no access key.
	Connect func() (Directory, error)
}

// Resolver puts users in the place of accounts. It is safe for concurrent use.
type Resolver struct {
	options Options
	limiter *limit.Limiter
}

// NewResolver returns a resolver. It asks no server anything until it is used.
func NewResolver(o Options) *Resolver {
	return &Resolver{options: o, limiter: limit.New(limit.Options{
		Redis: o.Redis, Action: string(tasks.QueryUserInfoByAccount), Process: "accounts/" + strings.ToLower(rand.Text()[:12]), PerSecond: o.PerSecond,
	})}
}

// NotConnectedError means that accounts have to be looked up, and that this is
// not set up. Err says what is missing.
type NotConnectedError struct {
	Accounts int // that have to be
	Err      error
}

func (e *NotConnectedError) Error() string {
	return fmt.Sprintf("%d accounts are not known here and have to be looked up, for which is needed:\n%v", e.Accounts, e.Err)
}

// Unwrap returns what is missing.
func (e *NotConnectedError) Unwrap() error { return e.Err }

// LookupError means that Quick BI could not be asked. Nothing is known of the
// accounts then.
type LookupError struct {
	Err  error  // quotes no account
	Hint string // what to do
	Wait bool   // it may work later
}

func (e *LookupError) Error() string { return "looking accounts up: " + e.Err.Error() }

// Unwrap returns the error of the call.
func (e *LookupError) Unwrap() error { return e.Err }

// Naming is what may name accounts in place of ids: an [intake.Batch], or
// [intake.Users].
type Naming interface {
	Accounts() []intake.Account
	Resolve(owners map[intake.Account]intake.Owner)
}

// Resolve is [Resolver.ResolveNames] of rows.
func (r *Resolver) Resolve(ctx context.Context, b *intake.Batch) error { return r.ResolveNames(ctx, b) }

// ResolveNames replaces the accounts that b names: see [intake.Batch.Resolve]. What
// is wrong with single accounts is among its errors afterwards. An error means that
// b is as it was: a [NotConnectedError], a [LookupError], [store.ErrUnavailable] or
// that of ctx.
func (r *Resolver) ResolveNames(ctx context.Context, b Naming) error {
	named := b.Accounts()
	if len(named) == 0 {
		b.Resolve(nil)
		return nil
	}
	asked := make([]store.Account, len(named))
	for i, a := range named {
		asked[i] = store.Account(a)
	}
	known, err := r.options.Cache.AccountOwners(ctx, asked, r.options.Ages)
	if err != nil {
		return err
	}
	owners := make(map[intake.Account]intake.Owner, len(named))
	var unknown []intake.Account
	for _, a := range named {
		if owner, ok := known[store.Account(a)]; ok {
			owners[a] = intake.Owner(owner)
		} else {
			unknown = append(unknown, a)
		}
	}
	if err := r.lookUp(ctx, unknown, owners); err != nil {
		return err
	}
	b.Resolve(owners)
	return nil
}

// atOnce is how many look-ups are under way at once.
const atOnce = 16

// lookUp asks Quick BI who has accounts, and remembers it, also of those that were
// answered before it failed.
func (r *Resolver) lookUp(ctx context.Context, unknown []intake.Account, owners map[intake.Account]intake.Owner) error {
	if len(unknown) == 0 {
		return nil
	}
	directory, err := r.options.Connect()
	if err != nil {
		return &NotConnectedError{Accounts: len(unknown), Err: err}
	}
	if err := r.learnLimit(ctx); err != nil {
		return err
	}
	found := map[store.Account]store.AccountOwner{}
	var mu sync.Mutex
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, a := range unknown {
		group.Go(func() error {
			if running.Err() != nil {
				return running.Err()
			}
			owner, err := r.ask(running, directory, a)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			owners[a], found[store.Account(a)] = owner, store.AccountOwner(owner)
			return nil
		})
	}
	failed := group.Wait()
	if err := r.options.Cache.KeepAccounts(context.WithoutCancel(ctx), found); failed == nil {
		failed = err
	}
	return failed
}

// learnLimit reads which rate an operator has set.
func (r *Resolver) learnLimit(ctx context.Context) error {
	set, err := r.options.Cache.Limits(ctx)
	for _, l := range set {
		if l.Action == tasks.QueryUserInfoByAccount {
			r.limiter.SetLimit(l.PerSecond, l.Version)
		}
	}
	return err
}
