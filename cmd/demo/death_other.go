//go:build unix && !linux

package main

import "syscall"

// dieWithParent does nothing where the kernel offers no way: there, a demo that
// is killed leaves its children running.
func dieWithParent(*syscall.SysProcAttr) {}
