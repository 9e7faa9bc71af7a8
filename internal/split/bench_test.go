package split

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkRectangles splits department-role data of growing size.
func BenchmarkRectangles(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000, 5_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			measure(b, roles(n, 1))
		})
	}
}

// BenchmarkShapes splits made-up user-permission data.
func BenchmarkShapes(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			measure(b, s.pairs())
			b.ReportMetric(float64(s.best), "best-known")
		})
	}
}

// BenchmarkRoleMining splits real user-permission data: the files in the folder
// that ROLE_MINING names, a user and a permission by number on each line. Half
// of the users of a set are another real set.
func BenchmarkRoleMining(b *testing.B) {
	files, err := filepath.Glob(filepath.Join(os.Getenv("ROLE_MINING"), "*.txt"))
	if err != nil || len(files) == 0 || os.Getenv("ROLE_MINING") == "" {
		b.Skip("ROLE_MINING names no folder with data sets")
	}
	for _, file := range files {
		b.Run(filepath.Base(file), func(b *testing.B) {
			measure(b, readPairs(b, file))
		})
		for which := range uint32(2) {
			b.Run(fmt.Sprintf("%s,half=%d", filepath.Base(file), which), func(b *testing.B) {
				measure(b, halfOf(readPairs(b, file), which))
			})
		}
	}
}

func readPairs(b *testing.B, name string) []pair {
	b.Helper()
	file, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var pairs []pair
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var p pair
		if _, err := fmt.Sscan(lines.Text(), &p.row, &p.col); err != nil {
			b.Fatal(err)
		}
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, pair.compare)
	return slices.Compact(pairs)
}

// halfOf returns the pairs of about half of the users.
func halfOf(pairs []pair, which uint32) []pair {
	return slices.DeleteFunc(pairs, func(p pair) bool {
		return uint32(p.row+1)*2654435769>>31 != which //nolint:gosec // a hash
	})
}

// measure reports time, memory and calls of splitting pairs, and the calls of
// the plain groupings.
func measure(b *testing.B, pairs []pair) {
	b.Helper()
	var grids []grid
	peak := peakOf(func() { grids = rectangles(pairs, 100) })
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		grids = rectangles(pairs, 100)
	}
	b.StopTimer()
	plain := groupingsOf(pairs, 100)
	b.ReportMetric(float64(peak)/float64(len(pairs)), "peakB/pair")
	b.ReportMetric(float64(len(pairs)), "pairs")
	b.ReportMetric(float64(len(grids)), "calls")
	b.ReportMetric(float64(bound(pairs, 100)), "bound")
	b.ReportMetric(float64(plain.perUser), "per-user")
	b.ReportMetric(float64(plain.perResource), "per-resource")
	b.ReportMetric(float64(plain.sameSet), "same-set")
	b.ReportMetric(float64(plain.coverStars), "cover-stars")
}

// peakOf returns by how many bytes the live heap grows at most while f runs. It
// has the collector run so often that little else is on the heap.
func peakOf(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	var before, stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var done atomic.Bool
	most := make(chan uint64)
	go func() {
		peak := before.HeapAlloc
		for !done.Load() {
			runtime.ReadMemStats(&stats)
			peak = max(peak, stats.HeapAlloc)
			time.Sleep(time.Millisecond)
		}
		most <- peak - before.HeapAlloc
	}()
	f()
	done.Store(true)
	return <-most
}
