//go:build unix

package main

import (
	"context"
	"time"
)

// scenario is a kind of run.
type scenario struct {
	world func() world
	play  func(ctx context.Context, r *rig, o *outcome, length time.Duration)
}

var scenarios = map[string]*scenario{
	"random": {randomWorld, random},
}

// provoking names the scenario in which the lack of a protection shows for
// certain.
var provoking = map[string]string{}
