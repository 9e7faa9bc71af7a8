//go:build unix

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"
)

// killing names the signals that the submitting command is sent.
var killing = map[syscall.Signal]string{syscall.SIGKILL: "kill -9", syscall.SIGTERM: "SIGTERM"}

// table sets faults against findings. A run counts for every fault in it; its
// time to repair counts for the fault that ended last.
func table(outcomes []*outcome) string {
	injected, runs, hurt, repairs := map[string]int{}, map[string]int{}, map[string]int{}, map[string][]time.Duration{}
	for _, o := range outcomes {
		for name, n := range o.injected {
			injected[name] += n
			runs[name]++
			if len(o.findings) > 0 {
				hurt[name]++
			}
		}
		if o.last != "" {
			repairs[o.last] = append(repairs[o.last], o.repair)
		}
	}
	var out strings.Builder
	if len(injected) > 0 {
		out.WriteString("\n| fault | injected | runs | with findings | repair: median | repair: most |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	}
	for _, name := range slices.Sorted(maps.Keys(injected)) {
		median, most := "–", "–"
		if times := slices.Sorted(slices.Values(repairs[name])); len(times) > 0 {
			median, most = seconds(times[len(times)/2]), seconds(times[len(times)-1])
		}
		fmt.Fprintf(&out, "| %s | %d | %d | %d | %s | %s |\n", name, injected[name], runs[name], hurt[name], median, most)
	}
	return out.String() + "\n"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
