package appliancecmd

import "golang.org/x/sys/unix"

// unsynchronised is the flag by which the kernel says that nobody keeps its
// clock (STA_UNSYNC of adjtimex).
const unsynchronised = 0x40

// clockKept says whether a time service keeps the clock of this machine.
func clockKept() bool {
	var state unix.Timex
	if _, err := unix.Adjtimex(&state); err != nil {
		return true // a container may not ask, and its host keeps the clock
	}
	return state.Status&unsynchronised == 0
}
