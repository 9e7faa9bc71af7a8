package e2e_test

import "syscall"

// dieWithTests lets a process end when the tests are cut off before they could
// end it.
func dieWithTests(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
