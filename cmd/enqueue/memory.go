package main

import "runtime/debug"

const (
	// leastMemory is what the collector lets a command have before it works
	// harder: it keeps a job of a million rows below 300 MB.
	leastMemory = 240e6

	// memoryOfInput is how much a larger input may take, as a multiple of its
	// size: rows take less than they do in a file, and splitting as much again.
	memoryOfInput = 1.8
)

// boundMemory has garbage collected sooner than Go would by itself, whose rule is
// that there may be as much of it as there is in use. What is in use is never
// refused. Whoever sets GOGC or GOMEMLIMIT knows better.
func (a *app) boundMemory(inputSize int64) {
	if a.lookup("GOGC") != "" || a.lookup("GOMEMLIMIT") != "" {
		return
	}
	debug.SetMemoryLimit(int64(max(leastMemory, memoryOfInput*float64(inputSize))))
}
