// Package job owns what a job is while a process runs it: its states, a queue that runs
// jobs one after another or some at once, and live counters of what one has done. What a
// job does, and its record on disk, are left to others: they are told by plain values.
//
// Invariants, cited by number elsewhere:
//
//  1. Jobs begin in the order in which they were added, but for those whose lane is taken.
//  2. Two jobs of one lane never run at once.
//  3. A job that ended never runs again, and one that was cancelled while it waited never
//     runs at all.
//
// Read [Queue] first, then [Progress].
package job

import "slices"

// State is one of HealthLake's states of a job.
type State string

// The states of a job.
const (
	Submitted           State = "SUBMITTED"
	Queued              State = "QUEUED" // others are before it; a record says SUBMITTED
	InProgress          State = "IN_PROGRESS"
	CompletedWithErrors State = "COMPLETED_WITH_ERRORS"
	Completed           State = "COMPLETED"
	Failed              State = "FAILED"
	CancelSubmitted     State = "CANCEL_SUBMITTED"
	CancelInProgress    State = "CANCEL_IN_PROGRESS"
	CancelCompleted     State = "CANCEL_COMPLETED"
	CancelFailed        State = "CANCEL_FAILED"
)

// next are the states that may follow one another. A job that is done when it is asked to
// end is completed all the same.
var next = map[State][]State{
	Submitted:        {Queued, InProgress, Failed, CancelSubmitted, CancelCompleted},
	Queued:           {InProgress, Failed, CancelCompleted},
	InProgress:       {CompletedWithErrors, Completed, Failed, CancelSubmitted},
	CancelSubmitted:  {CancelInProgress, CancelCompleted, CancelFailed, CompletedWithErrors, Completed, Failed},
	CancelInProgress: {CancelCompleted, CancelFailed, CompletedWithErrors, Completed, Failed},
}

// Ended tells whether the state is a last one. An unknown state is none.
func (s State) Ended() bool {
	switch s {
	case Completed, CompletedWithErrors, Failed, CancelCompleted, CancelFailed:
		return true
	}
	return false
}

// MayBecome tells whether a job of this state may come into another.
func (s State) MayBecome(t State) bool { return slices.Contains(next[s], t) }
