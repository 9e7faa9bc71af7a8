//go:build broken_recording

package broken

// Recording has calls written down when their answer is here, not before they are
// sent. Tag: broken_recording.
const Recording = true
