package main

import (
	"errors"
	"path/filepath"

	"reprise/bench/internal/peer"
)

func gomlx(source, folder string) entrant {
	return entrant{works: []string{"mlp", "cnn"}, at: func(string) peer.Peer {
		return peer.Peer{Name: "GoMLX", Missing: errors.New("not written yet " + filepath.Join(source, folder))}
	}}
}

func gorgonia(source, folder string) entrant {
	return entrant{works: []string{"mlp"}, at: func(string) peer.Peer {
		return peer.Peer{Name: "Gorgonia", Missing: errors.New("not written yet " + filepath.Join(source, folder))}
	}}
}
