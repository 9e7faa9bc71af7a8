//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	intakePeople = 1000   // whom small submissions name
	intakeThings = 40_000 // one for each of them
)

func userNo(i int) string  { return "person-" + strconv.Itoa(i%intakePeople) }
func thingNo(i int) string { return "thing-" + strconv.Itoa(i%intakeThings) }

// intake is a process of "enqueue serve", and what it was sent.
type intake struct {
	*worker // it tells in the same way where it listens, and that it is ready

	site   *site
	token  string
	client *http.Client
	sent   atomic.Int64 // small submissions

	mu   sync.Mutex
	jobs map[string]int // rows of what was accepted
}

// openIntake starts "enqueue serve", with a token.
func (s *site) openIntake(ctx context.Context) (*intake, error) {
	var out bytes.Buffer
	adding, err := launch(command{
		path: s.programs.enqueue, args: []string{"token", "add", "bench", "--source", "bench", "--lane-max", "urgent", "--json"},
		env: s.env(), log: s.file(s.name + "-enqueue.log"), out: &out,
	})
	if err != nil {
		return nil, err
	}
	if err := adding.wait(ctx); err != nil {
		return nil, err
	}
	var made struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(out.Bytes(), &made); err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	p, err := launch(command{path: s.programs.enqueue, args: []string{"serve"}, env: s.env("ENQUEUE_LISTEN=127.0.0.1:0"), log: s.file(s.name + "-serve.log")})
	if err != nil {
		return nil, err
	}
	in := &intake{
		worker: &worker{process: p}, site: s, token: made.Token, jobs: map[string]int{},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
	}
	if err := await(ctx, readyLimit, func() bool { return in.ready(ctx) }); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for the intake, see %s: %w", p.log, err), in.stop())
	}
	return in, nil
}

// stop ends the intake.
func (in *intake) stop() error {
	in.client.CloseIdleConnections()
	return in.process.stop()
}

// posted is one submission.
type posted struct {
	body            io.Reader
	kind, lane, key string
	rows            int
}

// post submits, and returns an error unless it is answered 202.
func (in *intake) post(ctx context.Context, p posted) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+in.addr+"/v1/jobs?lane="+p.lane, p.body) //nolint:gosec // a process of ours
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+in.token)
	r.Header.Set("Content-Type", p.kind)
	r.Header.Set("Idempotency-Key", p.key)
	resp, err := in.client.Do(r) //nolint:gosec // a process of ours
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		return errors.Join(fmt.Errorf("%s: %s", resp.Status, text), err)
	}
	var job struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(text, &job); err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.jobs[job.ID] = p.rows
	return nil
}

// postSmall submits so many rows that no other submission has: some people and
// one thing.
func (in *intake) postSmall(ctx context.Context, rows int) error {
	no := int(in.sent.Add(1))
	var body strings.Builder
	body.WriteString("row_id,action,principal,resource_type,resource_id,expires_on\n")
	for i := range rows {
		fmt.Fprintf(&body, "r%d,grant,%s,qa_resource,%s,%s\n", i, userNo(no*rows+i), thingNo(no), expiry)
	}
	return in.post(ctx, posted{body: strings.NewReader(body.String()), kind: "text/csv", lane: "normal", key: strconv.Itoa(no), rows: rows})
}

var mediaTypes = map[string]string{".csv": "text/csv", ".ndjson": "application/x-ndjson", ".json": "application/json"}

// postFile submits a file.
func (in *intake) postFile(ctx context.Context, l large) error {
	f, err := os.Open(filepath.Clean(l.file))
	if err != nil {
		return err
	}
	defer f.Close()
	return in.post(ctx, posted{body: f, kind: mediaTypes[filepath.Ext(l.file)], lane: "bulk", key: l.file, rows: l.rows})
}

// inTurn submits n times intakeMiddle rows, one after the other, and returns how
// long each took.
func (in *intake) inTurn(ctx context.Context, n int) (took []time.Duration, err error) {
	for range n {
		began := time.Now()
		if err := in.postSmall(ctx, intakeMiddle); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// loaded is what became of many submissions.
type loaded struct {
	took     []time.Duration // of each, from when it was due
	accepted int
	lasted   time.Duration // until the last was answered
	first    string        // why one was refused
}

// load submits small submissions at their rate, for so long or until it is
// stopped, however long they take to be answered.
func (in *intake) load(ctx context.Context, lasting time.Duration) (stop func(), ended <-chan loaded) {
	limited, stop := context.WithTimeout(ctx, lasting)
	out := make(chan loaded, 1)
	go func() {
		var l loaded
		var mu sync.Mutex
		var all sync.WaitGroup
		began := time.Now()
		for i := 0; ; i++ {
			due := began.Add(time.Duration(i) * time.Second / intakeRate)
			if !pause(limited, time.Until(due)) {
				break
			}
			all.Go(func() {
				err := in.postSmall(ctx, intakeRows)
				mu.Lock()
				defer mu.Unlock()
				if l.took = append(l.took, time.Since(due)); err == nil {
					l.accepted++
				} else if l.first == "" {
					l.first = err.Error()
				}
			})
		}
		all.Wait()
		l.lasted = time.Since(began)
		out <- l
	}()
	return stop, out
}

// allThere returns an error unless Postgres holds every row that was accepted.
func (in *intake) allThere(ctx context.Context) error {
	ids, rows := make([]string, 0, len(in.jobs)), 0
	for id, n := range in.jobs {
		ids, rows = append(ids, id), rows+n
	}
	return in.site.ask(ctx, func(conn *pgx.Conn) error {
		var jobs, there int
		err := conn.QueryRow(ctx, `SELECT count(DISTINCT j.id), count(*) FROM jobs j JOIN changes c ON c.job_id = j.id WHERE j.ulid = ANY ($1)`, ids).Scan(&jobs, &there)
		if err == nil && (jobs != len(ids) || there != rows) {
			err = fmt.Errorf("%d of %d jobs that were accepted are there, with %d of %d rows", jobs, len(ids), there, rows)
		}
		return err
	})
}

// toJSON writes the rows of a CSV file as JSON objects: one a line, or, for a file
// named .json, in a document.
func toJSON(from, to string) (err error) {
	in, err := os.Open(filepath.Clean(from)) //nolint:gosec // in a folder of ours
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(filepath.Clean(to)) //nolint:gosec // likewise
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return copyJSON(in, jsonFile{out: out, document: filepath.Ext(to) == ".json"})
}

// jsonFile is a file of rows as JSON.
type jsonFile struct {
	out      io.Writer
	document bool
}

func copyJSON(in io.Reader, to jsonFile) error {
	rows := csv.NewReader(in)
	header, err := rows.Read()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(to.out)
	before, after := "", "\n"
	if to.document {
		before, after = `{"rows":[`, "\n]}\n"
	}
	for n := 0; ; n++ {
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		object := map[string]string{}
		for i, cell := range cells {
			if cell != "" {
				object[header[i]] = cell
			}
		}
		text, err := json.Marshal(object)
		if err != nil {
			return err
		}
		_, _ = out.WriteString(before) // Flush tells
		_, _ = out.Write(text)
		if before = "\n"; to.document {
			before = ",\n"
		}
	}
	_, _ = out.WriteString(after)
	return out.Flush()
}
