# What a developer needs; `make check` is what every commit passes, and with
# `make test` it is what CI runs.

GO            ?= go
GOLANGCI_LINT := v2.15.0
TOOLS         := $(CURDIR)/.tools

.PHONY: build test check fmt vet lint race variants generated crash clean

build: ## build ./reprise
	$(GO) build -o reprise ./cmd/reprise

test: ## all tests, as a user runs them
	$(GO) test ./...

check: fmt vet lint race ## formatting, vet, linters, import rules, tests with -race

fmt:
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not formatted (run gofmt -w):"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./kernel/... ./internal/... ./tensor/...
	$(GO) vet -tags noasm ./kernel/...

lint: $(TOOLS)/golangci-lint-$(GOLANGCI_LINT)
	$< run ./...

# The linter is pinned here and built outside go.mod, so that its dependencies
# are never the product's.
$(TOOLS)/golangci-lint-$(GOLANGCI_LINT):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv $(TOOLS)/golangci-lint $@

race:
	$(GO) test -race ./...

variants: ## the numerics tests for other instruction sets and without assembly
	GOAMD64=v3 $(GO) test ./kernel/... ./nn/... ./training/... ./internal/detmath/... ./dataset/...
	$(GO) test -tags noasm ./kernel/... ./nn/...

generated: ## the committed assembly is what its generator writes
	cd kernel/cpu/internal/asmgen && $(GO) vet . && $(GO) test .

crash: ## 50 times kill -9 and resume of one run, compared with one never killed
	REPRISE_KILLS=50 $(GO) test -count=1 -v -run TestKillAtRandomMoments -timeout 60m ./cmd/reprise

clean:
	rm -rf reprise .tools
