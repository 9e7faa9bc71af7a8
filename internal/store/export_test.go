package store

// The statements whose plans are tested.
const (
	NextInLine   = nextInLine
	WaitingSQL   = waitingTasks
	WorkLeft     = workLeft
	ListBacklogs = listBacklogs
)
