package main

import "syscall"

// dieWithParent has the kernel kill the child when the thread that starts it
// ends, which is the main thread.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
