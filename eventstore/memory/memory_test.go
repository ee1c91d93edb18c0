package memory_test

import (
	"testing"

	"reprise/eventstore"
	"reprise/eventstore/memory"
	"reprise/eventstore/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(testing.TB) eventstore.Store { return memory.New() })
}

func FuzzImport(f *testing.F) { storetest.Fuzz(f, func() eventstore.Store { return memory.New() }) }
