# Every task of the repository under one name; `make` alone lists them. What a line needs it fetches or builds first.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
PYTHON ?= python3
CONFIG ?= config.toml
# More words for the command that a target ends in, e.g. make run ARGS="--procs 4".
ARGS ?=

# The executable's place also when CARGO_TARGET_DIR moves the builds elsewhere.
target := $(abspath $(or $(CARGO_TARGET_DIR),target))
venv := .cache/venv

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: runtime build ## build what is missing and serve the built-in model (ARGS="--procs 4", CONFIG=config.toml)
	@exec $(target)/release/detectd serve --config $(CONFIG) $(ARGS)

.PHONY: build
build: ## the release executable, target/release/detectd
	$(CARGO) build --release --package detectd

.PHONY: runtime
runtime: ## put the pinned ONNX Runtime into the cache (for CUDA: scripts/fetch-runtime --cuda)
	@$(PYTHON) scripts/fetch-runtime

# Where `make install` puts things; DESTDIR is put in front of each, for packages.
prefix ?= /usr/local
sysconfdir ?= /etc
unitdir ?= $(if $(filter /usr,$(prefix)),/lib/systemd/system,$(sysconfdir)/systemd/system)
library = $(DESTDIR)$(prefix)/lib/detectd
share = $(DESTDIR)$(prefix)/share
doc = $(share)/doc/detectd
# What is to be read, in folders as here, so that the documents' links hold.
documents = $(wildcard *.md docs/*.md docs/*.jpg docs/experiment/* monitoring/* k8s/*) models/README.md web/README.md \
	LICENSE-MIT LICENSE-APACHE config.toml systemd/gpu.conf docker/Dockerfile docker/compose.yaml
STRIP ?= strip

.PHONY: install
install: ## install into $(DESTDIR)$(prefix) what `make build runtime` made, with units and manual; an existing configuration stays
	@test -x $(target)/release/detectd || { echo "run \`make build\` first, not as root" >&2; exit 1; }
	install -D -s --strip-program=$(STRIP) -m 755 $(target)/release/detectd $(DESTDIR)$(prefix)/bin/detectd
	install -d $(library) $(share)/detectd/models $(share)/man/man1 $(share)/zsh/site-functions \
		$(share)/bash-completion/completions $(share)/fish/vendor_completions.d $(DESTDIR)$(unitdir) $(DESTDIR)$(sysconfdir)/detectd
	runtime=$$($(PYTHON) scripts/fetch-runtime --print) && folder=$(library)/$$(basename "$$(dirname "$$runtime")") && \
		install -d "$$folder" && install -m 644 "$$(dirname "$$runtime")"/* "$$folder"
	install -m 755 scripts/fetch-runtime $(library)
	install -m 644 $(wildcard models/*.onnx models/*.toml models/*.json models/*.jpg) $(share)/detectd/models
	install -D -m 644 -t $(share)/detectd/models/samples models/samples/*.jpg
	$(target)/release/detectd manual $(share)/man/man1
	$(target)/release/detectd completions bash > $(share)/bash-completion/completions/detectd
	$(target)/release/detectd completions zsh > $(share)/zsh/site-functions/_detectd
	$(target)/release/detectd completions fish > $(share)/fish/vendor_completions.d/detectd.fish
	sed 's|/usr/bin/|$(prefix)/bin/|' systemd/detectd.service > $(DESTDIR)$(unitdir)/detectd.service
	install -m 644 systemd/detectd.socket $(DESTDIR)$(unitdir)
	for file in $(documents); do install -D -m 644 $$file $(doc)/$$file; done
	$(PYTHON) scripts/sbom --text > $(doc)/THIRD-PARTY.txt
	@test -e $(DESTDIR)$(sysconfdir)/detectd/config.toml || install -m 644 config.toml $(DESTDIR)$(sysconfdir)/detectd/config.toml

.PHONY: uninstall
uninstall: ## stop the service and remove what `make install` put there, but for the configuration and what the service kept
	@if [ -z "$(DESTDIR)" ] && [ -e $(unitdir)/detectd.service ] && [ -d /run/systemd/system ]; then \
		systemctl disable --now detectd.socket detectd.service || true; fi
	rm -f $(DESTDIR)$(prefix)/bin/detectd $(DESTDIR)$(unitdir)/detectd.service $(DESTDIR)$(unitdir)/detectd.socket \
		$(share)/man/man1/detectd.1 $(share)/man/man1/detectd-*.1 $(share)/zsh/site-functions/_detectd \
		$(share)/bash-completion/completions/detectd $(share)/fish/vendor_completions.d/detectd.fish
	rm -rf $(library) $(share)/detectd $(doc)
	@if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

.PHONY: deb
deb: runtime build ## the Debian package, target/debian/detectd_VERSION_ARCHITECTURE.deb
	scripts/deb $(target)

# Of the image: cpu or cuda.
VARIANT = cpu
version = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: image
image: ## the container's image, detectd and detectd:VERSION, or with VARIANT=cuda detectd:cuda and detectd:VERSION-cuda
	DOCKER_BUILDKIT=1 docker build --file docker/Dockerfile --build-arg VARIANT=$(VARIANT) --build-arg VERSION=$(version) \
		--build-arg REVISION=$$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown) \
		$(if $(filter cuda,$(VARIANT)),--tag detectd:cuda --tag detectd:$(version)-cuda,--tag detectd --tag detectd:$(version)) $(ARGS) .

.PHONY: check-deploy
check-deploy: ## Kubernetes manifests against their schemas; what kustomize makes of them and alerts too, where kubectl and promtool are installed
	@$(PYTHON) -m venv .cache/k8s && .cache/k8s/bin/pip install --quiet --disable-pip-version-check kubernetes-validate==1.37.0
	.cache/k8s/bin/kubernetes-validate --strict $(filter-out k8s/kustomization.yaml,$(wildcard k8s/*.yaml))
	@if command -v kubectl >/dev/null; then kubectl kustomize k8s > .cache/k8s/rendered.yaml && .cache/k8s/bin/kubernetes-validate --strict .cache/k8s/rendered.yaml; \
	else echo "kubectl is not installed: what kustomize makes of the manifests not checked"; fi
	@if command -v promtool >/dev/null; then promtool check rules monitoring/rules.yml; \
	else echo "promtool is not installed (Debian: prometheus): alerts not checked"; fi

.PHONY: test-systemd
test-systemd: ## the Debian package under a real systemd, in a container (needs root and docker.io; says so otherwise)
	tests/systemd/run

.PHONY: test-docker
test-docker: ## the container's image, built and run for real (needs root and docker.io; says so otherwise)
	tests/docker/run

.PHONY: test
test: runtime lint ## every test: formatting and lints, all crates, end to end, the memory model's
	$(CARGO) build --workspace
	DETECTD_BIN=$(target)/debug/detectd $(CARGO) test --workspace $(ARGS)
	@$(MAKE) loom

.PHONY: test-release
test-release: runtime build ## the end-to-end tests against the release executable
	DETECTD_BIN=$(target)/release/detectd $(CARGO) test --package e2e $(ARGS)

.PHONY: lint
lint: ## formatting and clippy, a warning is an error; licences where cargo-deny is installed
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; \
	else echo "cargo-deny is not installed: licences of the dependencies not checked"; fi

# Its own target folder, since RUSTFLAGS rebuild everything; no test found is a failure, not a success.
loom_test = RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=2 \
	$(CARGO) test --package shm-proto --release --lib --target-dir $(target)/loom loom

.PHONY: loom
loom: ## the shared-memory protocol under every interleaving (two preemptions deep)
	@$(loom_test) -- --list | grep ': test$$' || { echo "no loom test was found" >&2; exit 1; }
	$(loom_test)

.PHONY: bench
bench: runtime build microbench ## the bars of speed on this machine as one table, after the microbenchmarks (ARGS="--only efficiency")
	$(CARGO) build --release --package bench --example bare_server
	@$(PYTHON) scripts/bench --detectd $(target)/release/detectd --bare $(target)/release/examples/bare_server $(ARGS)

.PHONY: microbench
microbench: ## what the parts cost: the shared-memory protocol, pixels, outputs, JSON
	$(CARGO) bench --package shm-proto --package vision --package frontend --benches

.PHONY: chaos
chaos: runtime build ## every promise about faults, long: DURATION=600 (s, random pairs), SEED=1, ONLY=engine-kills,overload-3
	@$(CARGO) build --package e2e --bin chaos
	@DETECTD_BIN=$(target)/release/detectd DURATION=$(DURATION) SEED=$(SEED) ONLY=$(ONLY) $(target)/debug/chaos

# Coverage for the fuzzer and the address sanitizer: switches of rustc that are not stable, hence RUSTC_BOOTSTRAP.
host := $(shell rustc -vV | sed -n 's/^host: //p')
fuzz_flags = -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address \
	--cfg fuzzing -Cdebug-assertions -Ccodegen-units=1
FUZZ ?= segments request base64 url image
FUZZ_SECONDS ?= 120
# Longest input. Arenas and boards are as long as they are; of the rest a few KiB show what there is to see.
fuzz_length_segments := 300000
fuzz_length_image := 16384

.PHONY: fuzz
fuzz: $(addprefix fuzz-,$(FUZZ)) ## arbitrary bytes as arenas, requests, addresses and pictures: FUZZ="url image", FUZZ_SECONDS=120 each

.PHONY: fuzz-build
fuzz-build:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(fuzz_flags)" $(CARGO) build --release --manifest-path fuzz/Cargo.toml \
		--target $(host) --target-dir $(target)/fuzz $(addprefix --bin ,$(FUZZ))

# What is found goes to the target folder, the first of the two; fuzz/corpus has the seeds.
fuzz-%: fuzz-build
	@mkdir -p $(target)/fuzz/corpus/$*
	cd $(target)/fuzz && $(host)/release/$* corpus/$* $(wildcard $(CURDIR)/fuzz/corpus/$*) -max_total_time=$(FUZZ_SECONDS) \
		-max_len=$(or $(fuzz_length_$*),4096) -len_control=0 -rss_limit_mb=1024 -malloc_limit_mb=64 -timeout=10 -print_final_stats=1 $(ARGS)

.PHONY: models
models: $(venv)/ready ## make colours.onnx and the tests' models again and check them (codes.onnx: models/train/run)
	$(venv)/bin/python models/make_colours.py
	$(venv)/bin/python tests/assets/make_models.py
	$(venv)/bin/python tests/assets/check_models.py

$(venv)/ready: models/requirements.txt
	$(PYTHON) -m venv $(venv)
	$(venv)/bin/pip install --quiet --disable-pip-version-check --requirement models/requirements.txt
	@touch $@

.PHONY: clean
clean: ## remove what was built (the runtime's cache stays)
	$(CARGO) clean
	rm -rf .cache
