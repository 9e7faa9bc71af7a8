//go:build broken_order

package broken

// Order lets changes run in the order of the queue, whatever was accepted later.
// Tag: broken_order.
const Order = true
