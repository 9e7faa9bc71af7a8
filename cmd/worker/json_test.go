package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-bi/usher/internal/testenv"
)

// decode reads the one JSON document that stdout must be.
func decode(t *testing.T, stdout string) map[string]any {
	t.Helper()
	var document map[string]any
	dec := json.NewDecoder(strings.NewReader(stdout))
	if err := dec.Decode(&document); err != nil {
		t.Fatalf("stdout is not JSON: %v\n%s", err, stdout)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one document on stdout:\n%s", stdout)
	}
	return document
}

func TestJSONOfErrors(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		name, args      string
		variable, value string
		code            int
		want            string
	}{
		{"unknown command", "walk --json", "", "", exitUsage, "usage"},
		{"unknown flag first", "run --fast --json", "", "", exitUsage, "usage"},
		{"an argument too many", "--json migrate now", "", "", exitUsage, "usage"},
		{"malformed setting", "run --json", "WORKER_LEASE", "soon", exitUsage, "settings"},
		{"malformed setting of migrate", "migrate --json", "DATABASE_URL", "postgres://u:p@h:bad/x", exitUsage, "settings"},
		{"the port is not ours", "run --json", "WORKER_LISTEN", "256.0.0.1:1", exitUsage, "settings"},
		{"no Postgres to migrate", "migrate --json", "DATABASE_URL", "postgres://u:secret@127.0.0.1:1/db", exitUnreachable, "postgres_unavailable"},
		{"no schema", "run --json", "DATABASE_URL", testenv.EmptyPostgres(t), exitUnreachable, "schema_outdated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vars := deployment(t)
			vars[tt.variable] = tt.value
			code, stdout, stderr := execute(t.Context(), vars, strings.Fields(tt.args)...)
			var document errorDocument
			decode(t, stdout)
			if err := json.Unmarshal([]byte(stdout), &document); err != nil {
				t.Fatal(err)
			}
			if code != tt.code || document.Error.Code != tt.want || document.Error.Message == "" {
				t.Errorf("exit %d, %+v; want %d, %s", code, document.Error, tt.code, tt.want)
			}
			if strings.Contains(stderr, "worker: ") || strings.Contains(stdout+stderr, "secret@") {
				t.Errorf("talk for people beside --json, or a secret:\n%s%s", stdout, stderr)
			}
		})
	}
}

func TestJSONOfText(t *testing.T) {
	t.Parallel()

	for _, args := range []string{"--json", "run --help --json", "completion bash --json"} {
		code, stdout, _ := execute(t.Context(), nil, strings.Fields(args)...)
		if text, _ := decode(t, stdout)["text"].(string); code != exitOK || !strings.Contains(text, "worker") {
			t.Errorf("%s: exit %d, text %q", args, code, text)
		}
	}
	if code, stdout, _ := execute(t.Context(), nil, "--version", "--json"); code != exitOK || decode(t, stdout)["version"] == nil {
		t.Errorf("exit %d, version %s", code, stdout)
	}
	if code, stdout, _ := execute(t.Context(), nil, "__complete", "run", "--js"); code != exitOK || !strings.HasPrefix(stdout, "--json") {
		t.Errorf("exit %d; a shell is told %q", code, stdout)
	}
}

func TestJSONOfMigrate(t *testing.T) {
	t.Parallel()

	vars := map[string]string{"DATABASE_URL": testenv.EmptyPostgres(t), "LOG_FORMAT": "json"}
	var first map[string]any
	for range 2 { // the second finds nothing to do
		code, stdout, stderr := execute(t.Context(), vars, "migrate", "--json")
		document := decode(t, stdout)
		if schema, _ := document["schema"].(float64); code != exitOK || document["migrated"] != true || schema < 1 {
			t.Errorf("exit %d: %s", code, stdout)
		}
		if !strings.Contains(stderr, `"level":"info"`) {
			t.Errorf("the log is %q", stderr)
		}
		if first == nil {
			first = document
		}
		if diff := cmp.Diff(first, document); diff != "" {
			t.Errorf("migrating again (-first +second):\n%s", diff)
		}
	}
	if code, stdout, _ := execute(t.Context(), vars, "migrate"); code != exitOK || stdout != "" {
		t.Errorf("exit %d, and without --json stdout is %q", code, stdout)
	}
}

func TestJSONOfAWorkerThatIsStopped(t *testing.T) {
	t.Parallel()

	vars := deployment(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, errOut buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, environment{
			args: []string{"run", "--json"}, getenv: func(k string) string { return vars[k] }, stdout: &out, stderr: &errOut,
		})
	}()
	testenv.Eventually(t, "the worker runs", func() bool { return strings.Contains(errOut.String(), "worker runs") })
	if out.String() != "" {
		t.Errorf("stdout of a worker that runs is %q", out.String())
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d, want %d:\n%s", code, exitOK, errOut.String())
	}
	if diff := cmp.Diff(map[string]any{"stopped": true}, decode(t, out.String())); diff != "" {
		t.Errorf("the document (-want +got):\n%s", diff)
	}
	if n := strings.Count(errOut.String(), "keeps nothing on disk"); n != 1 {
		t.Errorf("a Redis without persistence is warned of %d times, want once:\n%s", n, errOut.String())
	}
}
