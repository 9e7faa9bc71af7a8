.DEFAULT_GOAL := help
.PHONY: help demo test bench lint vet vuln fmt build check clean

LINT := go tool -modfile=tools/go.mod golangci-lint

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a job from CSV to granted access, against a stand-in for Quick BI
	@scripts/demo

test: ## all tests, against private servers
	@scripts/setup --race
	go test -race -shuffle=on -count=1 ./...

bench: ## all benchmarks
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
