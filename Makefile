.DEFAULT_GOAL := help

.PHONY: help dev test lint check-manifests fuzz bench bench-viewer screenshots

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

check-manifests: ## build k8s/, and hold it and the Dockerfile against schemas and linters
	ci/check-manifests

fuzz: ## feed the readers of libraries and ZIPs for ten minutes (needs a nightly compiler)
	fuzz/run 600

bench: ## measure the boundary, the metrics handler, loading, reloading, and an idle host
	cargo bench -p bench
	bench/idle
	bench/reload

bench-viewer: ## measure the viewer: a pass, processor time, memory (needs Xvfb and xdotool)
	cargo bench -p viewer --bench pass
	bench/viewer

screenshots: ## take the pictures of the README from the real program (needs Xvfb)
	viewer/take-screenshots
