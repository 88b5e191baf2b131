package pipeline

import (
	"runtime"
	"syscall"
)

// niceness of the threads of a job in the background: the kernel gives a thread that
// answers requests some nine times as much of a core.
const niceness = 10

// toBackground makes the goroutine that calls it the only one of its thread, and the
// thread one that others go before. The thread ends with the goroutine.
func toBackground() {
	runtime.LockOSThread()
	// Without the right to it the job runs as any other.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), niceness)
}
