package kernel_test

import (
	"fmt"

	"reprise/kernel"
	"reprise/kernel/cpu"
)

// A program names spans of one memory; a backend binds it to a memory and runs it.
func ExampleProgram() {
	a, b := kernel.Span{Offset: 0, Len: 4}, kernel.Span{Offset: 4, Len: 4}
	c := kernel.Span{Offset: 8, Len: 4}
	program := &kernel.Program{Name: "product", Elements: 12, Instructions: []kernel.Instruction{
		kernel.MatMul{A: a, B: b, C: c, M: 2, N: 2, K: 2},
		kernel.Activation{Kind: kernel.ReLU, X: c, Y: c},
	}}
	fmt.Println(program.Validate())

	backend, err := cpu.NewBackend(cpu.Config{Threads: 1})
	if err != nil {
		panic(err)
	}
	defer backend.Close()
	memory, _ := backend.Allocate(program.Elements)
	defer memory.Free()
	executable, _ := backend.Prepare(program, memory)
	_ = memory.Write(a, []float32{1, 2, 3, 4})
	_ = memory.Write(b, []float32{5, -6, 7, -8})
	fmt.Println(executable.Run(kernel.Scalars{}))
	out := make([]float32, c.Len)
	_ = memory.Read(out, c)
	fmt.Println(out)
	// Output:
	// <nil>
	// <nil>
	// [19 0 43 0]
}

// A table selects the first kernel that runs on the hardware.
func ExampleTable_KernelForOperation() {
	backend, err := cpu.NewBackend(cpu.Config{Threads: 1, Features: cpu.LevelNone})
	if err != nil {
		panic(err)
	}
	defer backend.Close()
	k, err := kernel.Table(backend.Kernels()).KernelForOperation(kernel.OpAdd, 0, backend.Level())
	fmt.Println(k.Name, err)
	_, err = kernel.Table{}.KernelForOperation(kernel.OpAdd, 0, backend.Level())
	fmt.Println(err)
	// Output:
	// add.portable <nil>
	// add in float32: no kernel for this operation on this device
}
