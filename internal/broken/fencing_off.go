//go:build !broken_fencing

package broken

// Fencing lets a worker that lost its claim send and record under the claim of whoever
// has the task now. Tag: broken_fencing.
const Fencing = false
