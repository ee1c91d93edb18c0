# What a developer needs. Every commit passes `make check`; .ci/run has what CI
# runs.

GO            ?= go
GOLANGCI_LINT := v2.15.0
TOOLS         := $(CURDIR)/.tools
# qemu-user; on arm64 itself the ordinary tests do this.
ARM64         := GOARCH=arm64 $(GO) test -count=1 -exec qemu-aarch64

.PHONY: help build test test-full check fmt commits vet lint race variants generated crash powercut survive simulate mutate fuzz \
	runtimes bench-peers bench-gemm bench-scaling bench-opticks bench-tables bench-actors bench-events bench-scheduler bench-test performance performance-run clean

help: ## list the targets
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build ./reprise
	$(GO) build -o reprise ./cmd/reprise

# -short repeats the same checks fewer times; CI runs test-full.
test: ## every test, with few repetitions
	$(GO) test -short ./...

test-full: ## every test with all its repetitions; CI runs it
	$(GO) test -timeout 60m $(FLAGS) ./...

check: fmt commits vet lint race ## what every commit must pass: formatting, vet, linters, import rules, tests with -race

fmt: ## gofmt
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not formatted (run gofmt -w):"; echo "$$files"; exit 1; fi

commits: ## check the form of commit messages
	@.ci/check-commits

vet: ## go vet, for other systems, for arm64 and without assembly too
	$(GO) vet ./...
	for os in darwin windows freebsd openbsd; do GOOS=$$os $(GO) vet ./cmd/reprise || exit 1; done
	GOARCH=arm64 $(GO) vet ./kernel/... ./nn/... ./device/... ./internal/... ./tensor/...
	$(GO) vet -tags noasm ./kernel/...

lint: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT) ## golangci-lint
	$< run ./...

# The linter is pinned here and built outside go.mod, so that its dependencies
# are never the product's.
$(TOOLS)/golangci-lint-$(GOLANGCI_LINT):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv $(TOOLS)/golangci-lint $@

race: ## every test with the race detector
	$(GO) test -race -timeout 60m ./...

variants: ## the numerics tests for other instruction sets and without assembly
	GOAMD64=v3 $(GO) test ./kernel/... ./nn/... ./training/... ./internal/detmath/... ./dataset/...
	$(GO) test -tags noasm ./kernel/... ./nn/...
	for n in 1 8; do GOMAXPROCS=$$n $(GO) test -count=1 -run 'Golden' ./nn || exit 1; done
	$(ARM64) -run 'NEON|Tile|Strip|Transpose|SelfCheck|Detect|EqualsTheDefinition$$|AllocatesNothingOnceWarm|OfWildValues|EveryDepthwise|HeadsInPlace|AwkwardShapes' ./kernel/cpu
	$(ARM64) -run 'Golden' ./nn

generated: ## check that the committed assembly is what its generator writes
	cd kernel/cpu/internal/asmgen && $(GO) vet . && $(GO) test .

# For other seeds: make simulate SEED=5000000 HISTORIES=100000.
HISTORIES ?= 1000000
SEED      ?= 0

simulate: ## a million simulated histories of the control side; stops at the first that fails
	$(GO) test -count=1 -v -timeout 24h -run '^TestSimulatedHistories$$' ./integration -histories $(HISTORIES) -seed $(SEED)

# Needs Debian's python3-torch and python3-onnx, and npm.
ONNXRUNTIME := onnxruntime-node@1.30.0

runtimes: ## compare exported models with PyTorch and ONNX Runtime; fails where one is missing
	npm install --prefix $(TOOLS)/$(ONNXRUNTIME) --ignore-scripts --no-fund --no-audit $(ONNXRUNTIME)
	NODE_PATH=$(TOOLS)/$(ONNXRUNTIME)/node_modules REPRISE_RUNTIMES=needed $(GO) test -count=1 -v -run 'PyTorch|ONNX|Documented' ./export

# For some of them: make mutate ONLY='checkpoint|lease'.
mutate: ## leave out each sync, lease check, compensation step and comparison in verify in turn; some test must fail
	$(GO) test -count=1 -v -timeout 6h -run '^TestEveryMutantIsKilled$$/($(ONLY))' ./internal/mutate -mutate

# For some of them, for longer: make fuzz ONLY='Parquet|CSV' FUZZTIME=10m. A failing input
# becomes a case in testdata/fuzz of its package. Inputs that are merely new are hardly made
# smaller, since that takes longer than finding them.
FUZZTIME ?= 1m

fuzz: ## fuzz every decoder in turn, for FUZZTIME each
	@grep -rEo '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' * | grep -E '($(ONLY))' | \
	sed -E 's#^(.*)/[^/]*:func (Fuzz.*)#\1 \2#' | while read -r folder name; do \
		echo "$$folder $$name"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x ./$$folder </dev/null || exit 1; \
	done

crash: ## kill -9 and resume one run 50 times, and 1,000 times a process with concurrent appends
	REPRISE_KILLS=50 $(GO) test -count=1 -v -run TestKillAtRandomMoments -timeout 60m ./cmd/reprise
	REPRISE_KILLS=1000 $(GO) test -count=1 -v -run TestKilled -timeout 90m ./integration/survival

powercut: ## cut off an ext4 image under a run 200 times and replay its journal; Linux, root
	REPRISE_CUTS=200 $(GO) test -count=1 -v -run Power -timeout 60m ./integration/survival

survive: ## a fault at every operation of a run, each power cut with 16 random outcomes
	REPRISE_SEEDS=16 $(GO) test -count=1 -v -run 'AFaultAtEvery|AConditionThat' -timeout 60m ./integration/survival

# Extra flags: make bench-gemm BENCHFLAGS='-sizes 63x65x17 -rounds 100'. What the
# peers need is in bench/README.md.
bench-peers: ## training steps against PyTorch, GoMLX and Gorgonia, one JSON line each
	cd bench && $(GO) run ./cmd/peers $(BENCHFLAGS)

bench-gemm: ## the matrix product on one thread against OpenBLAS and oneDNN
	cd bench && $(GO) run ./cmd/gemm $(BENCHFLAGS)

bench-scaling: ## the time of our step against batch, width and context
	cd bench && $(GO) run ./cmd/scaling $(BENCHFLAGS)

bench-opticks: ## the validation loss of a GPT on Opticks against PyTorch's; fails above 0.01
	cd bench && $(GO) run ./cmd/opticks $(BENCHFLAGS)

# Needs Debian's python3-sklearn, and npm for the tables.
VEGA := vega-datasets@3.2.1

bench-tables: build ## figures on tables against scikit-learn's MLP on the same splits; fails 0.01 below
	npm install --prefix $(TOOLS)/$(VEGA) --ignore-scripts --no-fund --no-audit $(VEGA)
	cd bench && $(GO) run ./cmd/tables -data $(TOOLS)/$(VEGA)/node_modules/vega-datasets/data $(BENCHFLAGS)

bench-events: ## appends, replay and recovery of the event log against PostgreSQL and JetStream
	cd bench && $(GO) run ./cmd/events $(BENCHFLAGS)

bench-scheduler: ## the queue's policy against others on a trace of a cluster; BENCHFLAGS='-trace FILE'
	cd bench && $(GO) run ./cmd/scheduler $(BENCHFLAGS)

bench-actors: ## our actors against Hollywood and Proto.Actor, one JSON line each
	cd bench && $(GO) run ./cmd/actors $(BENCHFLAGS)

bench-test: ## the tests of the bench, a module of its own
	cd bench && $(GO) vet ./... && $(GO) test ./...

performance: ## docs/performance.md and its figures from bench/results
	cd bench && $(GO) run ./cmd/performance

# Everything is built before anything is timed. Where opticks finds a difference
# that is too large, the document says so.
performance-run: ## measure everything, a quarter of an hour on a quiet machine, and write docs/performance.md
	@mkdir -p bench/results
	cd bench && $(GO) build ./cmd/peers ./cmd/gemm ./cmd/scaling ./cmd/opticks ./cmd/actors ./cmd/events
	cd bench && $(GO) run ./cmd/performance -machine
	@echo "$$(date +%T) 1 of 6: training steps, about 3 minutes"
	cd bench && $(GO) run ./cmd/peers -rounds 8 -seconds 0.3 -out results/peers.jsonl
	@echo "$$(date +%T) 2 of 6: matrix product, about 1 minute"
	cd bench && $(GO) run ./cmd/gemm -rounds 25 -out results/gemm.jsonl
	@echo "$$(date +%T) 3 of 6: scaling, about 1 minute"
	cd bench && $(GO) run ./cmd/scaling -rounds 5 -out results/scaling.jsonl
	@echo "$$(date +%T) 4 of 6: GPT on Opticks, about 2 minutes"
	-cd bench && $(GO) run ./cmd/opticks -steps 500 -out results/opticks.jsonl
	@echo "$$(date +%T) 5 of 6: actors, about 2 minutes"
	cd bench && $(GO) run ./cmd/actors -out results/actors.jsonl
	@echo "$$(date +%T) 6 of 6: the event log, about 4 minutes"
	cd bench && $(GO) run ./cmd/events -out results/events.jsonl
	@echo "$$(date +%T) writing docs/performance.md"
	$(MAKE) performance

clean: ## remove what make built
	rm -rf reprise .tools
