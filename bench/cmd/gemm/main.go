// Command gemm compares the matrix product of package kernel/cpu with those of
// OpenBLAS and oneDNN, on one thread each, and prints one line of JSON per size
// and peer. The peers are Debian's libopenblas-dev and libdnnl-dev and a small
// C program that gcc builds.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"reprise/bench/internal/duel"
	"reprise/bench/internal/peer"
	"reprise/bench/internal/wire"
	"reprise/kernel/cpu"
)

const usualSizes = "1024x1024x1024,128x512x784,256x512x784,2048x128x128,12544x64x288"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gemm:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	rounds := flag.Int("rounds", 50, "rounds of each side; the best counts")
	seconds := flag.Float64("seconds", 0.03, "length of a round")
	sizes := flag.String("sizes", usualSizes, "comma-separated MxNxK")
	work := flag.String("work", "", "only works whose name contains this")
	out := flag.String("out", "", "file to which the lines are also written")
	source := flag.String("peers", "peers", "folder of the peers")
	flag.Parse()

	folder, err := os.MkdirTemp("", "reprise-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	to, closeOut, err := duel.Output(*out)
	if err != nil {
		return err
	}
	defer closeOut()
	gemm, err := cpu.NewGemm(cpu.LevelAuto)
	if err != nil {
		return err
	}
	pool := cpu.NewPool(1)
	defer pool.Close()
	peers := buildPeers(filepath.Join(*source, "gemm", "gemm.c"), folder)
	for _, size := range strings.Split(*sizes, ",") {
		p := &product{gemm: gemm, pool: pool}
		if _, err := fmt.Sscanf(size, "%dx%dx%d", &p.m, &p.n, &p.k); err != nil {
			return fmt.Errorf("size %q, want MxNxK: %w", size, err)
		}
		contest := peer.Contest{
			Work:  fmt.Sprintf("gemm %dx%dx%d", p.m, p.n, p.k),
			Units: 2e-9 * float64(p.m) * float64(p.n) * float64(p.k), Unit: "GFLOP/s", Threads: 1,
			Ours:      p,
			Tolerance: func(theirs []float32) float64 { return 1e-3 * duel.RMS(theirs) },
			File:      filepath.Join(folder, "operands"), Folder: folder,
		}
		if !strings.Contains(contest.Work, *work) {
			continue
		}
		if err := p.fill(contest.File); err != nil {
			return err
		}
		for _, other := range peers {
			line := contest.Compare(duel.Config{Rounds: *rounds, Seconds: *seconds}, other.at(p))
			if err := line.Write(to); err != nil {
				return err
			}
		}
	}
	return nil
}

// library is a peer before the size is known.
type library struct {
	peer    peer.Peer
	program string
}

// at returns the peer for a product's size.
func (l library) at(p *product) peer.Peer {
	out := l.peer
	out.Configurations = append([]peer.Configuration(nil), out.Configurations...)
	for i := range out.Configurations {
		out.Configurations[i].Command = []string{l.program, fmt.Sprint(p.m), fmt.Sprint(p.n), fmt.Sprint(p.k)}
	}
	return out
}

// buildPeers compiles the peers. OpenBLAS picks its kernels by the processor's
// model and does not know the newer ones, so all that it might pick compete;
// each is set only in the peer's own process.
func buildPeers(source, folder string) []library {
	openblas := library{program: filepath.Join(folder, "openblas"), peer: peer.Peer{Name: "OpenBLAS"}}
	cores := []string{"HASWELL", "ZEN"}
	if cpu.Detect().Best() == cpu.LevelAVX512 {
		cores = append(cores, "SKYLAKEX", "COOPERLAKE")
	}
	for _, core := range cores {
		openblas.peer.Configurations = append(openblas.peer.Configurations, peer.Configuration{
			Label: "1 thread, " + core, Env: []string{"OPENBLAS_CORETYPE=" + core, "OPENBLAS_NUM_THREADS=1"},
		})
	}
	onednn := library{program: filepath.Join(folder, "onednn"), peer: peer.Peer{Name: "oneDNN",
		Configurations: []peer.Configuration{{Label: "1 thread", Env: []string{"OMP_NUM_THREADS=1"}}}}}
	openblas.peer.Missing = compile(source, openblas.program, "-DOPENBLAS", "-lopenblas")
	onednn.peer.Missing = compile(source, onednn.program, "-DONEDNN", "-ldnnl")
	return []library{openblas, onednn}
}

func compile(source, program, define, link string) error {
	output, err := exec.Command("gcc", "-O2", define, source, "-o", program, link).CombinedOutput()
	if err != nil {
		text := strings.Split(strings.TrimSpace(string(output)), "\n")
		return fmt.Errorf("gcc %s %s: %w: %s", define, link, err, text[0])
	}
	return nil
}

// product is our side: C[m,n] = A[m,k] B[k,n].
type product struct {
	m, n, k int
	a, b, c []float32
	gemm    cpu.Gemm
	pool    *cpu.Pool
}

// fill sets the operands, the same every time, and writes them to a file.
func (p *product) fill(path string) error {
	p.a, p.b, p.c = make([]float32, p.m*p.k), make([]float32, p.k*p.n), make([]float32, p.m*p.n)
	seed := uint32(1)
	for _, operand := range [][]float32{p.a, p.b} {
		for i := range operand {
			seed = seed*1664525 + 1013904223 // Numerical Recipes' generator
			operand[i] = float32(int32(seed)>>8) / (1 << 23)
		}
	}
	return wire.WriteFloats(path, p.a, p.b)
}

// Check returns the product.
func (p *product) Check() ([]float32, error) {
	_, err := p.Run(1)
	return p.c, err
}

// Run computes the product n times.
func (p *product) Run(n int) (float64, error) {
	args := cpu.MatMulArgs{M: p.m, N: p.n, K: p.k, A: p.a, LDA: p.k, B: p.b, LDB: p.n, C: p.c, LDC: p.n}
	start := time.Now()
	for range n {
		p.gemm.MatMul(p.pool, args)
	}
	return time.Since(start).Seconds(), nil
}
