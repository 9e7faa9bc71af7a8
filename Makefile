.DEFAULT_GOAL := help
.PHONY: help demo test chaos chaos-broken bench bench-go lint vet vuln fmt build check clean

LINT := go tool -modfile=tools/go.mod golangci-lint

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a job from CSV to granted access, against a stand-in for Quick BI
	@scripts/demo

test: ## all tests, against private servers
	@scripts/setup --race
	go test -race -shuffle=on -count=1 -timeout 20m ./...

RUNS ?= 3
SEED ?= 1
LENGTH ?= 15s
JOBS ?= 2
SCENARIO ?= random

chaos: ## break an installation in every way (RUNS=3 SEED=1 LENGTH=15s JOBS=2 SCENARIO=random; see docs/chaos.md)
	@scripts/setup --race
	go run ./test/chaos -runs $(RUNS) -seed $(SEED) -length $(LENGTH) -jobs $(JOBS) -scenario $(SCENARIO)

chaos-broken: ## builds without a protection must be caught by the chaos suite
	@scripts/setup --race
	go run ./test/chaos -broken fencing
	go run ./test/chaos -broken reconciler
	go run ./test/chaos -broken recording
	go run ./test/chaos -broken order

bench: ## what is promised about speed, measured side by side: 15 minutes (BENCH=-quick: 3; see docs/bench.md)
	@scripts/setup
	go run ./test/bench $(BENCH)

bench-go: ## all Go benchmarks
	@scripts/setup
	go test -run '^$$' -bench . -benchmem ./...

lint: vet ## every linter; the first run builds them, which takes minutes
	$(LINT) run

vet: ## go vet alone
	go vet ./...

vuln: ## known vulnerabilities (VULNDB=file:///... for a database of your own)
	@scripts/vuln

fmt: ## format the code
	$(LINT) fmt

build: ## static programs in bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/worker ./cmd/enqueue ./cmd/sandbox

check: lint vuln build test ## what has to pass before a change is done

clean: ## remove what was built
	rm -rf bin .demo coverage.out
