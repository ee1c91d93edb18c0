package integration

import (
	"testing"

	"reprise/training"
	"reprise/training/loop"
)

// A late message belongs to a question or an execution that is over: nothing is
// recorded and nothing is done. The actors below have neither log nor context,
// so that doing anything would panic.

func TestAnAnswerToAnEarlierQuestionIsDropped(t *testing.T) {
	a := &runActor{request: 2}
	for _, late := range []uint64{0, 1, 3} {
		if err := a.answer(nil, late, training.DatasetLoaded{}); err != nil || a.request != 2 {
			t.Errorf("an answer to question %d: %v, the actor waits for question %d", late, err, a.request)
		}
		if err := a.Receive(nil, leaseGranted{Request: late}); err != nil || a.request != 2 || a.backend != nil {
			t.Errorf("a lease for question %d: %v, the actor waits for question %d", late, err, a.request)
		}
	}
	a.request = 0 // it waits for nothing
	if err := a.answer(nil, 0, training.DatasetLoaded{}); err != nil {
		t.Error(err)
	}
}

func TestAStepOfAnEarlierExecutionIsDropped(t *testing.T) {
	a := &runActor{exec: &loop.Execution{}}
	if err := a.Receive(nil, trainStep{of: &loop.Execution{}}); err != nil {
		t.Error(err)
	}
}
