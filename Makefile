.DEFAULT_GOAL := help

.PHONY: help dev test lint bench

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

dev: ## run the metrics plugin on this machine's figures
	cargo run --release -- dev plugins/metrics

test: ## install what the tests need (apt, as root) and run them all
	ci/install-test-tools
	cargo test --workspace --all-features

lint: ## what CI checks besides the tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	ci/deny

bench: ## measure the boundary, the metrics handler, loading, and an idle host
	cargo bench -p bench
	bench/idle
