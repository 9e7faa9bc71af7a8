//go:build unix && !linux

package devstack

import "syscall"

// dieWithParent does nothing: only Linux knows a death signal.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
