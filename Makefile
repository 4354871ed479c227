# Bearerguard. `make help` lists the targets; `make demo` and `make test` do all of their own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VERSION ?= 0.1.0
BIN := $(CURDIR)/bin
CACHE := $(or $(BEARERGUARD_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/bearerguard)
LDFLAGS := -s -w -X main.version=$(VERSION)
# gRPC's tracing pages draw in templates, which keep a sixth of the binary from being left out.
SIDECAR = -tags grpcnotrace -trimpath -ldflags '$(LDFLAGS)'
export CGO_ENABLED ?= 0
export CACHE

include hack/cluster/cluster.mk

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build and run

.PHONY: build
build: ## Build bin/sidecar, bin/controller and bin/bearerguard.
	go build $(SIDECAR) -o $(BIN)/sidecar ./cmd/sidecar
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/controller ./cmd/controller
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/bearerguard ./cmd/kubectl-bearerguard

.PHONY: demo
demo: ## Show a standalone sidecar refuse and forward requests (KEEP=1 leaves it running).
	go build $(SIDECAR) -o $(BIN)/sidecar ./cmd/sidecar
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/bearerguard ./cmd/kubectl-bearerguard
	go build -trimpath -o $(BIN)/demo ./hack/demo
	$(BIN)/demo --sidecar $(BIN)/sidecar --bearerguard $(BIN)/bearerguard

.PHONY: demo-mcp
demo-mcp: ## Show a standalone sidecar in front of an MCP server, with a real client and authorization server (needs node and npm).
	go build $(SIDECAR) -o $(BIN)/sidecar ./cmd/sidecar
	for dir in hack/interop/idp hack/interop/mcp; do \
	  [ $$dir/node_modules/.package-lock.json -nt $$dir/package-lock.json ] || npm ci --no-progress --prefix $$dir; done
	node hack/interop/mcp/demo.mjs $(BIN)/sidecar

##@ Check

.PHONY: test
test: ## Run every test but those that need a node; builds a real API server the first time.
	assets=$$(hack/cluster/build.sh assets | tail -n1); \
	KUBEBUILDER_ASSETS=$$assets go test ./...
	go test -parallel 16 -tags loop_poll ./sidecar/proxy ./sidecar/proxy/conformance ./sidecar/proxy/loop
	go test -C hack/release ./...
	$(MAKE) --no-print-directory conformance interop

.PHONY: conformance
conformance: ## Run h2spec, gRPC's interoperability tests and other people's clients and servers against the proxy.
	go test -C hack/conformance ./...

.PHONY: interop
interop: ## Run the tests with other people's identity providers and clients (those of npm need node).
	go test -C hack/interop ./...

.PHONY: soak
soak: ## Run gRPC's soak tests through the proxy for SOAK (10m).
	SOAK=$(or $(SOAK),10m) go test -C hack/conformance -count=1 -timeout 1h -run 'TestGRPCSoak' -v . 2>&1 | grep -vE '^Worker.*succeeded|successes|^\[|^-+$$|^$$|^==='

.PHONY: interop-hydra
interop-hydra: ## Run the tests with Ory Hydra, which it builds the first time (two minutes and more, a C compiler); then interop runs them too.
	hack/cluster/build.sh hydra
	go test -C hack/interop -count=1 -run Hydra -v ./introspection

.PHONY: test-cert-manager
test-cert-manager: ## Run the test of the controller's certificates with a real cert-manager, which it builds the first time (three minutes).
	hack/cluster/build.sh cert-manager
	hack/cluster/build.sh helm
	assets=$$(hack/cluster/build.sh assets | tail -n1); \
	KUBEBUILDER_ASSETS=$$assets go test -count=1 -run TestCertManager -v ./controllers/certs

.PHONY: test-race
test-race: ## The same with the race detector (needs a C compiler; RACE='./sidecar/...' names packages).
	assets=$$(hack/cluster/build.sh assets | tail -n1); \
	CGO_ENABLED=1 KUBEBUILDER_ASSETS=$$assets go test -race -p 1 $(or $(RACE),./...)

.PHONY: e2e
e2e: ## Install into a real one-node cluster and use it as a user would (root).
	hack/e2e/run.sh

.PHONY: e2e-cert-manager
e2e-cert-manager: ## Go from the controller's own certificates to a real cert-manager's and back, in the same cluster, while requests run (root).
	PARTS='install certmanager' hack/e2e/run.sh

.PHONY: drill
drill: ## Do to a one-node cluster what goes wrong in clusters, under traffic (root, half an hour; QUICK=1, AGAIN=1, ONLY=regexp, LIST=1).
	@if [ -n '$(LIST)' ]; then go run ./hack/drill --list; else hack/drill/run.sh $(if $(QUICK),--quick) $(if $(AGAIN),--again) --only '$(ONLY)'; fi

.PHONY: fuzz-short
fuzz-short: ## Run each fuzz target for FUZZTIME (20s).
	hack/fuzz.sh $(or $(FUZZTIME),20s)

.PHONY: bench-engine
bench-engine: ## Measure tokens and decisions beside raw cryptography, golang-jwt and jwx (a minute).
	@cd hack/bench/engine && go run .

.PHONY: bench-proxy
bench-proxy: ## Measure a request's cost beside HAProxy and nginx (root; QUICK=1, ROWS=regexp, PERF=1).
	go build -tags grpcnotrace -trimpath -ldflags '$(if $(PERF),,$(LDFLAGS))' -o $(BIN)/bench-proxy/sidecar ./cmd/sidecar
	hack/bench/proxy/prepare.sh $(BIN)/bench-proxy
	$(BIN)/bench-proxy/bench-proxy

.PHONY: bench-wear
bench-wear: build-wear ## Attack a sidecar and measure what that costs it and others (seven minutes; ONLY=regexp; MEMORY=128: in a control group).
	$(BIN)/bench-wear/bench-wear --sidecar $(BIN)/bench-wear/sidecar --only '$(ONLY)' --memory $(or $(MEMORY),0)

.PHONY: bench-wear-vm
bench-wear-vm: build-wear ## Attack a sidecar of 128 MiB in a virtual machine, whose kernel counts sockets to it (root; ten minutes; ONLY=regexp, MEMORY=0: as bench-wear).
	hack/bench/wear/vm.sh $(BIN)/bench-wear $(or $(MEMORY),128) $(if $(ONLY),--only '$(ONLY)')

.PHONY: build-wear
build-wear:
	go build $(SIDECAR) -o $(BIN)/bench-wear/sidecar ./cmd/sidecar
	go build -trimpath -o $(BIN)/bench-wear/bench-wear ./hack/bench/wear

.PHONY: bench-fleet
bench-fleet: ## Measure 10,000 sidecars on a real API server and controller (ten minutes; N=1000, ONLY=regexp).
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/bench-fleet/controller ./cmd/controller
	go build -trimpath -o $(BIN)/bench-fleet/bench-fleet ./hack/bench/fleet
	assets=$$(hack/cluster/build.sh assets | tail -n1); \
	$(BIN)/bench-fleet/bench-fleet --controller $(BIN)/bench-fleet/controller --assets $$assets --sidecars $(or $(N),10000) --only '$(ONLY)'

.PHONY: lint
lint: $(BIN)/golangci-lint ## Run the linters.
	$(BIN)/golangci-lint run ./...

.PHONY: vuln
vuln: $(BIN)/govulncheck ## Look for known vulnerabilities, where their database can be reached.
	hack/vuln.sh $(BIN)/govulncheck

.PHONY: chart-check
chart-check: $(BIN)/kubeconform ## Render the chart and check it against the Kubernetes schemas.
	hack/chart-check.sh

.PHONY: cluster-load
cluster-load: build ## Put the images of Bearerguard and of the sample app into the running cluster.
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(BIN)/e2e-app ./hack/e2e/app
	hack/cluster/load.sh bearerguard.local/bearerguard:dev $(BIN)/controller $(BIN)/sidecar
	hack/cluster/load.sh bearerguard.local/e2e-app:dev $(BIN)/e2e-app

##@ Release

.PHONY: release
release: ## Make the files of a release in dist/: VERSION=0.1.0, as the charts and CHANGELOG.md have it.
	go run -C hack/release . --version $(VERSION)

.PHONY: release-twice
release-twice: ## Make them twice, the second time in a fresh clone, and compare.
	hack/release/twice.sh $(VERSION)

.PHONY: image-build
image-build: ## Build the Dockerfile with buildah into dist/image.tar (root; BASE=local takes this machine's Go for the base image).
	hack/image-build.sh dist/image.tar $(VERSION)

##@ Generate

.PHONY: generate
generate: $(BIN)/controller-gen $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc ## Write the generated Go code (needs protoc).
	$(BIN)/controller-gen object paths=./api/policy paths=./api/v1alpha1
	PATH=$(BIN):$$PATH protoc -I api/bundle --go_out=. --go_opt=module=github.com/bearerguard/bearerguard \
		--go-grpc_out=. --go-grpc_opt=module=github.com/bearerguard/bearerguard push.proto
	PATH=$(BIN):$$PATH protoc -I controllers/push --go_out=. --go_opt=module=github.com/bearerguard/bearerguard \
		--go-grpc_out=. --go-grpc_opt=module=github.com/bearerguard/bearerguard report.proto
	PATH=$(BIN):$$PATH protoc -I sidecar/authz --go_out=. --go_opt=module=github.com/bearerguard/bearerguard check.proto
	go run ./hack/reference

.PHONY: manifests
manifests: $(BIN)/controller-gen ## Write the CustomResourceDefinitions, config/ from the chart (with helm, which it builds if need be), and the references in docs/.
	$(BIN)/controller-gen crd paths=./api/policy paths=./api/v1alpha1 output:crd:dir=config/crd
	cp config/crd/bearerguard.dev_*.yaml charts/bearerguard/files/crds/
	cp config/crd/bearerguard.dev_*.yaml charts/bearerguard-crds/files/crds/
	config/render.sh
	go test ./cmd/kubectl-bearerguard -count=1 -run TestReference -update
	go run ./hack/reference

.PHONY: docs-pictures
docs-pictures: ## Make the pictures of docs/images again, of the real pages with a real browser (needs node, npm and chromium).
	go build -o $(BIN)/docs-pictures/bearerguard ./cmd/kubectl-bearerguard
	go build -o $(BIN)/docs-pictures/serve ./cmd/kubectl-bearerguard/dashboard/dashboardtest/serve
	[ hack/interop/page/node_modules/.package-lock.json -nt hack/interop/page/package-lock.json ] || npm ci --no-progress --prefix hack/interop/page
	node hack/interop/page/pictures.mjs $(BIN)/docs-pictures/bearerguard $(BIN)/docs-pictures/serve "$$(command -v chromium)" docs/images

GENERATED = api config charts controllers/push/reportv1 docs/cli.md docs/reasons.md docs/metrics.md docs/flags.md docs/values.md docs/api.md

.PHONY: verify
verify: generate manifests ## Fail if generated files are not up to date, or the benchmark's module does not build.
	go vet -C hack/bench/engine ./...
	git diff --exit-code -- $(GENERATED)
	@new=$$(git ls-files --others --exclude-standard -- $(GENERATED)); [ -z "$$new" ] || { echo "not committed: $$new"; exit 1; }

$(BIN)/golangci-lint:
	go build -C hack/tools/lint -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN)/govulncheck:
	go build -C hack/tools -o $@ golang.org/x/vuln/cmd/govulncheck

$(BIN)/controller-gen:
	go build -C hack/tools -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(BIN)/protoc-gen-go:
	go build -C hack/tools -o $@ google.golang.org/protobuf/cmd/protoc-gen-go

$(BIN)/protoc-gen-go-grpc:
	go build -C hack/tools -o $@ google.golang.org/grpc/cmd/protoc-gen-go-grpc

$(BIN)/kubeconform:
	go build -C hack/tools -o $@ github.com/yannh/kubeconform/cmd/kubeconform
