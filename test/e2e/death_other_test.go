//go:build !linux

package e2e_test

import "syscall"

func dieWithTests(*syscall.SysProcAttr) {}
