//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// worker is a process of "worker run".
type worker struct {
	*process

	addr string // of its metrics
}

var listens = regexp.MustCompile(`"listen":"([^"]+)"`)

// ready reports whether w works on tasks. Where it can be asked is in its log.
func (w *worker) ready(ctx context.Context) bool {
	if w.addr == "" {
		text, err := os.ReadFile(w.log) //nolint:gosec // in a folder of ours
		if err != nil {
			return false
		}
		found := listens.FindSubmatch(text)
		if found == nil {
			return false
		}
		w.addr = string(found[1])
	}
	resp, err := get(ctx, "http://"+w.addr+"/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody) //nolint:gosec // a process of ours
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req) //nolint:gosec // likewise
}

// usage is what a process has used since it began.
type usage struct {
	CPU    float64 `json:"cpu"`    // seconds
	Allocs float64 `json:"allocs"` // objects
	Bytes  float64 `json:"bytes"`  // allocated
}

// usage asks w for its metrics.
func (w *worker) usage(ctx context.Context) (usage, error) {
	resp, err := get(ctx, "http://"+w.addr+"/metrics")
	if err != nil {
		return usage{}, err
	}
	defer resp.Body.Close()
	values := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			values[name], _ = strconv.ParseFloat(value, 64) // of comments nothing is asked
		}
	}
	u := usage{CPU: values["process_cpu_seconds_total"], Allocs: values["go_memstats_mallocs_total"], Bytes: values["go_memstats_alloc_bytes_total"]}
	if u.CPU == 0 || u.Allocs == 0 {
		return u, fmt.Errorf("http://%s/metrics does not tell what the process used", w.addr)
	}
	return u, lines.Err()
}
