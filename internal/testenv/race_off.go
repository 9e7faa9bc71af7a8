//go:build unix && !race

package testenv

const raceEnabled = false
