package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/usher-bi/usher/internal/config"
	"github.com/usher-bi/usher/internal/store"
)

// guardFlags are limits given on the command line. One that is not given is as
// it is configured.
type guardFlags struct {
	revokes, perDay limitFlag
	share, shrink   shareFlag
}

func (g *guardFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Var(&g.revokes, "max-revokes", "hold the job if it revokes more than `N` times, or none")
	flags.Var(&g.share, "max-revoke-share", "hold the job if more than this `SHARE` of it revokes, such as 20%, or none; from 10 revokes on")
	flags.Var(&g.perDay, "max-revokes-per-day", "hold the job if with it the source revokes more than `N` times within 24 hours, or none")
	flags.Var(&g.shrink, "max-shrink", "hold the job if it has lost more than this `SHARE` of the rows of the one before, such as 33%, or none")
}

// over are the guards that hold where c is configured.
func (g *guardFlags) over(c config.Guards) store.Guards {
	return store.Guards{
		MaxRevokes: g.revokes.or(c.MaxRevokes), MaxRevokeShare: g.share.or(c.MaxRevokeShare),
		MaxRevokesPerDay: g.perDay.or(c.MaxRevokesPerDay), MaxShrink: g.shrink.or(c.MaxShrink),
	}
}

// limitFlag is a count, or none.
type limitFlag struct {
	given bool
	n     int // 0 means none
}

func (f *limitFlag) String() string {
	if f.n == 0 {
		return ""
	}
	return strconv.Itoa(f.n)
}

func (f *limitFlag) Type() string { return "limit" }

func (f *limitFlag) Set(s string) (err error) {
	f.given = true
	f.n, err = config.ParseLimit(s)
	return err
}

func (f *limitFlag) or(n int) int {
	if f.given {
		return f.n
	}
	return n
}

// shareFlag is a share, or none.
type shareFlag struct {
	given bool
	share float64 // 0 means none
}

func (f *shareFlag) String() string {
	if f.share == 0 {
		return ""
	}
	return strconv.FormatFloat(f.share*100, 'g', 4, 64) + "%"
}

func (f *shareFlag) Type() string { return "share" }

func (f *shareFlag) Set(s string) (err error) {
	f.given = true
	f.share, err = config.ParseShare(s)
	return err
}

func (f *shareFlag) or(share float64) float64 {
	if f.given {
		return f.share
	}
	return share
}
