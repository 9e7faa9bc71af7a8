//go:build unix

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	wantedRatio  = 1.5   // of the time of \copy
	wantedMemory = 300e6 // bytes, at the peak
)

// arrived is how long rows took to get in, and what that took.
type arrived struct {
	took   time.Duration
	memory float64 // bytes at the peak
}

// importing compares "enqueue csv" with "psql \copy" of the same rows into the
// same table with its indexes. They take turns.
func importing(ctx context.Context, b *bench) error {
	rows, rounds := short(b.options, 1_000_000, 100_000), cmp.Or(b.rounds, short(b.options, 3, 1))
	psql, err := exec.LookPath("psql")
	if err != nil {
		return fmt.Errorf("what it is compared with is missing: %w", err)
	}
	file := b.file("import.csv")
	if err := writeDepartments(file, rows); err != nil {
		return fmt.Errorf("writing the file: %w", err)
	}
	var ours, theirs []arrived
	for range rounds {
		us, them, err := b.importOnce(ctx, imported{psql: psql, file: file, rows: rows})
		if err != nil {
			return err
		}
		b.sayf("enqueue csv %.2f s and %.0f MB, \\copy %.2f s", us.took.Seconds(), us.memory/1e6, them.took.Seconds())
		ours, theirs = append(ours, us), append(theirs, them)
	}
	b.importRows(rows, middle(ours), middle(theirs), slices.MaxFunc(ours, func(a, b arrived) int { return cmp.Compare(a.memory, b.memory) }))
	return nil
}

func middle(all []arrived) arrived {
	slices.SortFunc(all, func(a, b arrived) int { return cmp.Compare(a.took, b.took) })
	return all[len(all)/2]
}

func (b *bench) importRows(rows int, us, them, largest arrived) {
	name := fmt.Sprintf("%d rows, ", rows)
	ratio := us.took.Seconds() / them.took.Seconds()
	seconds := func(a arrived) row {
		return row{Measured: fmt.Sprintf("%.2f s", a.took.Seconds()), Figures: map[string]float64{"seconds": a.took.Seconds()}}
	}
	copied, accepted := seconds(them), seconds(us)
	copied.Case, accepted.Case = name+"psql \\copy", name+"enqueue csv"
	b.add(copied)
	b.add(accepted)
	b.add(row{
		Case: name + "enqueue / \\copy", Measured: fmt.Sprintf("%.2f", ratio), Wanted: fmt.Sprintf("≤ %.1f", wantedRatio), OK: new(ratio <= wantedRatio),
		Figures: map[string]float64{"ratio": ratio},
	})
	b.add(row{
		Case: name + "peak memory of enqueue", Measured: fmt.Sprintf("%.0f MB", largest.memory/1e6),
		Wanted: fmt.Sprintf("≤ %.0f MB", wantedMemory/1e6), OK: new(largest.memory <= wantedMemory), Figures: map[string]float64{"bytes": largest.memory},
	})
}

// imported is what is to be imported.
type imported struct {
	psql, file string
	rows       int
}

// importOnce has each of the two import the rows into an empty database. What
// psql copies is what enqueue wrote, in the same order.
func (b *bench) importOnce(ctx context.Context, in imported) (us, them arrived, err error) {
	written := b.file("import-changes.csv")
	if us, err = b.enqueueRows(ctx, in, written); err != nil {
		return us, them, err
	}
	them, err = b.copyRows(ctx, in, written)
	return us, them, errors.Join(err, os.Remove(written)) //nolint:gosec // in a folder of ours
}

// enqueueRows times "enqueue csv" and keeps the rows that it wrote.
func (b *bench) enqueueRows(ctx context.Context, in imported, written string) (us arrived, err error) {
	s, err := b.newSite(ctx, &free{})
	if err != nil {
		return us, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.settle(ctx); err != nil {
		return us, err
	}
	us, err = s.time(ctx, command{path: s.programs.enqueue, args: []string{"csv", in.file, "--source", "bench", "--requested-by", "bench"}})
	if err != nil {
		return us, err
	}
	if err := s.holds(ctx, in.rows); err != nil {
		return us, err
	}
	_, err = s.time(ctx, command{path: in.psql, args: []string{
		"-X", s.databaseURL(), "-c", `\copy (TABLE changes ORDER BY job_id, no) TO '` + written + `' CSV`,
	}})
	return us, err
}

// copyRows times psql.
func (b *bench) copyRows(ctx context.Context, in imported, written string) (them arrived, err error) {
	s, err := b.newSite(ctx, &free{})
	if err != nil {
		return them, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.settle(ctx); err != nil {
		return them, err
	}
	them, err = s.time(ctx, command{path: in.psql, args: []string{"-X", s.databaseURL(), "-c", `\copy changes FROM '` + written + `' CSV`}})
	if err != nil {
		return them, err
	}
	return them, s.holds(ctx, in.rows)
}

// settle has Postgres write down what others left behind.
func (s *site) settle(ctx context.Context) error {
	return s.ask(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CHECKPOINT")
		return err
	})
}

// holds returns an error unless so many rows are there.
func (s *site) holds(ctx context.Context, rows int) error {
	return s.ask(ctx, func(conn *pgx.Conn) error {
		if n := count(ctx, conn, "SELECT count(*) FROM changes"); n != rows {
			return fmt.Errorf("%d of %d rows are there", n, rows)
		}
		return nil
	})
}

func (s *site) ask(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.databaseURL())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return f(conn)
}

// time runs a program to its end.
func (s *site) time(ctx context.Context, c command) (arrived, error) {
	c.env, c.log = append(s.env(), "PATH="+os.Getenv("PATH")), s.file(s.name+"-"+filepath.Base(c.path)+".log")
	began := time.Now()
	p, err := launch(c)
	if err != nil {
		return arrived{}, err
	}
	if err := p.wait(ctx); err != nil {
		return arrived{}, err
	}
	out := arrived{took: time.Since(began)}
	if used, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		out.memory = float64(used.Maxrss) * rssUnit
	}
	return out, nil
}

// rssUnit is what Linux counts memory in.
const rssUnit = 1024

// writeDepartments writes so many rows as a company asks for them: departments
// of 20 to 200 people, each with 5 to 40 resources of which some are
// everyone's, and 3 % of the pairs replaced by an exception of the person's own.
func writeDepartments(path string, rows int) (err error) {
	file, err := os.Create(path) //nolint:gosec // in a folder of ours
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriter(file)
	_, _ = out.WriteString("row_id,action,principal,principal_type,resource_type,resource_id,role,expires_on,reason,ticket\n") // Flush tells
	random := rand.New(rand.NewPCG(1, 0))
	for department, user, n := 0, 0, 0; n < rows; department++ {
		role := random.Perm(resources)[:5+random.IntN(36)]
		for range 20 + random.IntN(181) {
			own := map[int]bool{}
			for _, resource := range role {
				if random.IntN(100) < 3 {
					resource = random.IntN(resources)
				}
				if own[resource] || n == rows {
					continue
				}
				own[resource] = true
				n++
				fmt.Fprintf(out, "hr-%d,grant,%032x,user,qa_resource,%032x,,%s,department %d,HR-%d\n", n, user, resource, expiry, department, department)
			}
			user++
		}
	}
	return out.Flush()
}

const resources = 1000 // of the company
