package main

import (
	"reprise/bench/internal/peer"
	"reprise/bench/internal/torch"
)

// pytorch returns PyTorch with the kernel of OpenBLAS that fits the processor
// (which Debian's OpenBLAS does not always find) and the faster of one and two
// threads, of both layouts of images and of both forms of the optimiser. If
// tuned is set, malloc also keeps memory, which its users do not do but which
// is fastest. On an AMD EPYC (AVX-512) with two cores shared with others, the
// best were 1 thread, tuned and, for mlp, foreach; channels last for resnet8
// but not for cnn.
func pytorch(source string, tuned bool) entrant {
	name := "PyTorch"
	if tuned {
		name = "PyTorch, malloc tuned"
	}
	at := func(work string) peer.Peer {
		p := peer.Peer{Name: name}
		option, label := "--foreach", "foreach"
		if work == "cnn" || work == "resnet8" {
			option, label = "--channels-last", "channels last"
		}
		for _, threads := range []int{1, 2} {
			plain := torch.Configuration(source, threads, tuned)
			other := plain
			other.Label += ", " + label
			other.Command = append(append([]string(nil), plain.Command...), option)
			p.Configurations = append(p.Configurations, plain, other)
		}
		return p
	}
	return entrant{works: []string{"mlp", "cnn", "gpt", "resnet8"}, at: at}
}
