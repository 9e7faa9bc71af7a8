//go:build unix

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sampleRows = []row{
	{Scenario: "quota", Case: "50/s", Measured: "98 %", Wanted: "≥ 97 %", OK: new(true), Figures: map[string]float64{"used": 0.98}},
	{Scenario: "fair", Case: "alone", Measured: "1 s"},
	{Scenario: "fair", Case: "behind", Measured: "9 s", Wanted: "≤ 4 s", OK: new(false)},
}

func TestTable(t *testing.T) {
	t.Parallel()

	var out strings.Builder
	if err := write(&out, sampleRows, false); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimLeft(`
| scenario | case   | measured | wanted | ok  |
| ---      | ---    | ---      | ---    | --- |
| quota    | 50/s   | 98 %     | ≥ 97 % | yes |
| fair     | alone  | 1 s      | –      | –   |
| fair     | behind | 9 s      | ≤ 4 s  | NO  |
`, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestJSONIsOneDocument(t *testing.T) {
	t.Parallel()

	var out strings.Builder
	if err := write(&out, sampleRows, true); err != nil {
		t.Fatal(err)
	}
	var got map[string][]row
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleRows, got["rows"]); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()

	o, err := parse([]string{"-scenario", "quota,fair", "-processes", "1, 4", "-quick"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1, 4}, o.processes.or(2)); diff != "" {
		t.Errorf("processes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{2}, o.rates.or(2)); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
	if !o.wants("quota") || o.wants("adapt") || !o.wants("fair") {
		t.Errorf("of %q the wrong scenarios are wanted", o.scenario)
	}
	for _, args := range [][]string{{"-scenario", "speed"}, {"-processes", "0"}, {"-rates", "50/s"}, {"-rates", ""}, {"quota"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
