//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/usher-bi/usher/internal/access"
)

// workerSettings are those in which the demo's worker is not like others: it
// takes trouble for lasting much sooner, and listens on a free port.
var workerSettings = []string{"WORKER_MAX_ATTEMPTS=2", "WORKER_LISTEN=127.0.0.1:0"}

func (d *demo) build(ctx context.Context) error {
	err := d.run(ctx, "go", "build", "-buildvcs=false", "-o", binDir+"/", "./cmd/worker", "./cmd/enqueue", "./cmd/sandbox")
	if err != nil {
		return err
	}
	d.show(`export PATH="$PWD/` + binDir + `:$PATH"`)
	return nil
}

// startSandbox writes the files of the story, and serves the organization that
// they are about.
func (d *demo) startSandbox(ctx context.Context) error {
	if err := d.makeUp(); err != nil {
		return err
	}
	cmd := d.command(context.WithoutCancel(ctx), "sandbox", "--world", worldFile, "--json", "--verbose")
	d.show(shell(cmd.Args))
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	cmd.Stdout = writer
	p, err := launch(cmd, sandboxLog, d.fail)
	_ = writer.Close() // the child has it; were it open here too, its end would not show
	if err != nil {
		return err
	}
	d.atEnd("sandbox", p.stop)
	if d.announced, err = readAnnouncement(ctx, reader); err != nil {
		return p.explain(fmt.Errorf("waiting for the sandbox: %w", err))
	}
	d.introduce()
	return nil
}

// introduce tells of the sandbox, and has everything below use it.
func (d *demo) introduce() {
	d.sandbox = newSandbox(d.announced.Endpoint)
	d.childEnv = append(d.childEnv, rateSetting)
	d.show("export QUICKBI_ENDPOINT=" + d.announced.Endpoint + "   # and the key pair that it prints")
	d.show("export " + rateSetting + "   # leaves others a share of what the account is allowed")
	d.sayf("it allows %d calls a second; of %d people %d have left, a resource is deleted, one user has no seat",
		accountRate, len(d.scenario.people), len(d.scenario.left))
	d.sayf("and spoils every call, another meets an error that will pass, and now and then all meet a 503: %s", worldFile)
}

// makeUp writes the files of the story.
func (d *demo) makeUp() error {
	china := time.FixedZone("Asia/Shanghai", 8*60*60) // where Quick BI counts days
	d.scenario = newScenario(access.DateOf(d.now().In(china)))
	return errors.Join(
		writeFile(worldFile, d.scenario.organization().writeTo),
		writeFile(beforeFile, func(w io.Writer) error { return writeRows(w, d.scenario.before) }),
		writeFile(requestFile, func(w io.Writer) error { return writeRows(w, d.scenario.request) }),
	)
}

// readAnnouncement waits for the one document that the sandbox prints.
func readAnnouncement(ctx context.Context, r *os.File) (a announcement, err error) {
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	defer context.AfterFunc(limited, func() { _ = r.SetReadDeadline(time.Unix(0, 1)) })() // ends Decode
	err = json.NewDecoder(r).Decode(&a)
	return a, err
}

func (d *demo) migrate(ctx context.Context) error {
	if d.given {
		if err := d.run(ctx, "worker", "migrate"); err != nil {
			return err
		}
		return d.checkNoJobs(ctx) // which an older schema may have hidden
	}
	if err := d.run(ctx, "worker", "migrate", "--app-role", appRole); err != nil {
		return err
	}
	d.childEnv = append(d.childEnv, databaseSetting+"="+d.appDatabase) // the last one counts
	d.show("export " + databaseSetting + "=" + quote(d.appDatabase) + "   # a role that cannot rewrite the audit")
	return nil
}

func (d *demo) startWorker(ctx context.Context) error {
	cmd := d.command(context.WithoutCancel(ctx), "worker", "run")
	cmd.Env = slices.Concat(cmd.Env, d.announced.settings(), workerSettings)
	d.show(strings.Join(workerSettings, " ") + " worker run")
	p, err := launch(cmd, workerLog, d.fail)
	if err != nil {
		return err
	}
	d.atEnd("worker, after its last calls", p.stop)
	var url string
	err = p.await(ctx, func(ctx context.Context) (err error) {
		url, err = readyAt(ctx, workerLog)
		return err
	})
	if err != nil {
		return err
	}
	d.sayf("it is ready (%s), and gives up sooner than after the usual 6 attempts", url)
	return nil
}

var errNotYet = errors.New("the worker has not said where it listens")

// readyAt asks the worker of a log whether it is ready, and returns the URL
// that says so.
func readyAt(ctx context.Context, log string) (url string, err error) {
	listen, err := listenAddress(log)
	if err != nil {
		return "", err
	}
	url = "http://" + listen + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return url, nil
}

// listenAddress finds where a worker listens, in its log.
func listenAddress(log string) (string, error) {
	text, err := os.ReadFile(filepath.Clean(log))
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var line struct {
			Message string `json:"message"`
			Listen  string `json:"listen"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "worker runs" && line.Listen != "" {
			return line.Listen, nil
		}
	}
	return "", errNotYet
}
