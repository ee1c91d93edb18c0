package main

import "testing"

func TestOursIsComparedWithTheBetterPeer(t *testing.T) {
	more, less := figure{name: "more", unit: "1/s"}, figure{name: "less", unit: "s", lessIsMore: true}
	w := work{figures: []figure{more, less}}
	all := []best{{side: "ours"}, {side: "a"}, {side: "b"}}
	for _, round := range [][3][2]float64{{{8, 3}, {4, 5}, {1, 9}}, {{6, 2}, {2, 8}, {2, 4}}} {
		for i, got := range round {
			all[i].add(w.figures, map[string]float64{"more": got[0], "less": got[1]})
		}
	}
	lines := w.lines(all, 2)
	if l := lines[0]; l.Peer != "a" || l.Ours != 8 || l.Theirs != 4 || l.Ratio != 2 {
		t.Errorf("more is better: %+v", l)
	}
	if l := lines[1]; l.Peer != "b" || l.Ours != 2 || l.Theirs != 4 || l.Ratio != 2 {
		t.Errorf("less is better: %+v", l)
	}
}
