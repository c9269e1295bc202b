package s3test

import (
	"os/exec"
	"syscall"
)

// dieWithUs lets the system kill a child when the thread that started it ends.
func dieWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
