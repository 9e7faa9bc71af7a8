//go:build !broken_reconciler

package broken

// Reconciler has nobody repair what crashes and a forgetful Redis leave behind. Tag:
// broken_reconciler.
const Reconciler = false
