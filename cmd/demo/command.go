//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/usher-bi/usher/internal/config"
)

// lastWords is how long a command may take to end after Ctrl-C.
const lastWords = 10 * time.Second

// command is a program that ends by itself.
type command struct {
	argv   []string
	expect []int // exit codes beside 0 that are no surprise
}

// ended is how a command ended.
type ended struct {
	stdout string
	code   int
}

// commandError is a command that ended as it should not have.
type commandError struct {
	argv []string
	how  error
}

func (e *commandError) Error() string { return fmt.Sprintf("%s: %v", shell(e.argv), e.how) }
func (e *commandError) Unwrap() error { return e.how }

// run shows a command and runs it. It writes to our stdout and stderr itself,
// so that a progress bar finds its terminal and nothing changes places.
func (d *demo) run(ctx context.Context, argv ...string) error {
	d.show(shell(argv))
	_, err := d.execute(ctx, command{argv: argv}, d.out)
	return err
}

// read runs c for what it writes to stdout.
func (d *demo) read(ctx context.Context, c command) (ended, error) {
	var out bytes.Buffer
	code, err := d.execute(ctx, c, &out)
	return ended{strings.TrimSpace(out.String()), code}, err
}

// execute runs c to its end. After Ctrl-C or a crash, the error says so.
func (d *demo) execute(ctx context.Context, c command, stdout io.Writer) (code int, err error) {
	cmd := d.command(ctx, c.argv...)
	cmd.Stdout, cmd.Stderr = stdout, d.err
	err = cmd.Run()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if cmd.ProcessState != nil {
		code = cmd.ProcessState.ExitCode()
	}
	if err != nil && !slices.Contains(c.expect, code) {
		return code, &commandError{argv: c.argv, how: err}
	}
	return code, nil
}

// command prepares a child. Of our own programs, it takes those just built.
func (d *demo) command(ctx context.Context, argv ...string) *exec.Cmd {
	path := argv[0]
	if path != "go" {
		path = binDir + "/" + path
	}
	cmd := exec.CommandContext(ctx, path, argv[1:]...) //nolint:gosec // argv is the demo's own
	cmd.Args[0] = argv[0]
	cmd.Env = d.childEnv
	cmd.SysProcAttr = apart()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = lastWords
	return cmd
}

// withoutSettings is environ without any setting of the product: what somebody
// has set for their own installation must not reach the demo's. The client
// library of Postgres has settings too; they go where the server is private.
func withoutSettings(environ []string, private bool) []string {
	ours := map[string]bool{}
	for _, s := range config.Settings() {
		ours[s.Name] = true
	}
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return ours[name] || strings.HasPrefix(name, "QUICKBI_") || private && strings.HasPrefix(name, "PG")
	})
}

// shell writes argv as one would type it.
func shell(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = quote(word)
	}
	return strings.Join(words, " ")
}

// quote makes one word of a shell out of s.
func quote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
