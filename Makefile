.DEFAULT_GOAL := help

.PHONY: help dev test lint reference docs-pdf dist test-dist check-manifests image test-image fuzz bench bench-compare bench-curves bench-chart bench-viewer screenshots soak test-other-rust

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 17

dev: ## run the metrics plugin on this machine's figures
	cargo run --release -- dev plugins/metrics

test: ## install what the tests need (apt, as root) and run them all
	ci/install-test-tools
	cargo test --workspace --all-features

lint: ## what CI checks besides the tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --manifest-path fuzz/Cargo.toml -- -D warnings
	ci/deny

reference: ## write docs/reference.md and the options in docs/viewer.md from what the code says
	UPDATE_REFERENCE=1 cargo test --workspace --all-features --test reference

docs-pdf: ## make PDFs of the pages for handler, viewer and runtime, in target/docs-pdf (needs pandoc and weasyprint)
	ci/docs-pdf

dist: ## make archives, and a Debian package of the viewer, that run without cargo, in target/dist
	ci/dist

test-dist: ## run what `make dist` made on a Debian that has only its base (needs root)
	ci/test-dist

check-manifests: ## build k8s/, and hold it and the Dockerfile against schemas and linters
	ci/check-manifests

image: ## build the image plugin-host (TARGET=python: with Python; IMAGE=NAME: another name; BUILD_BASE, RUNTIME_BASE: other bases)
	docker build --target $(or $(TARGET),host) --tag $(or $(IMAGE),plugin-host) --build-arg BUILD_BASE --build-arg RUNTIME_BASE --build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1) --build-arg REVISION=$$(git rev-parse HEAD) .

test-image: ## build and run the image, where a Docker engine is
	ci/test-image

fuzz: ## feed the readers of libraries and ZIPs for ten minutes (needs a nightly compiler)
	fuzz/run 600

test-other-rust: ## build host and plugin with Debian's rustc-web, and try each with those of this Rust (as root)
	ci/other-rust /opt/rust-web
	cargo test -p host --test other_rust -- --include-ignored --nocapture

soak: ## a stream with a fault a second for ten minutes (SOAK_SECONDS): nothing lost, nothing grown
	cargo test -p host --test soak -- --ignored --nocapture

bench: ## measure the boundary, the metrics handler, loading, reloading, and an idle host
	cargo bench -p bench
	bench/idle
	bench/reload

bench-compare: ## measure the host beside the Python runtime and beside a bare loop of the Redis client
	bench/compare

bench-curves: ## measure how cost grows with keys, env size, input size and history length
	bench/compare curves

bench-chart: ## draw bench/chart.svg from the tables of bench/RESULTS.md
	bench/chart

bench-viewer: ## measure the viewer: a pass, processor time, memory (needs Xvfb and xdotool)
	cargo bench -p viewer --bench pass
	bench/viewer

screenshots: ## take the pictures of the README from the real program (needs Xvfb)
	viewer/take-screenshots
