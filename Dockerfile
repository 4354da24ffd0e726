# plugin-host with its two plugins, on a base that holds glibc and no shell.
#
#   docker build -t plugin-host .
#   docker build --target python -t plugin-host:python .      the same for handlers in Python: docs/image.md
#   docker build --target builder -t plugin-host-builder .    what authors build plugins in: docs/image.md
#
# Every platform is built on itself and nothing is cross-compiled: `docker buildx build --platform
# linux/amd64,linux/arm64` wants a node of each, or QEMU for the foreign one. Only what every builder knows is used, so
# the classic one and podman do as well as BuildKit.

# checkov:skip=CKV_DOCKER_7: FROM names arguments, whose defaults have a tag and a digest
# Both are Debian 13: what is built here needs no newer glibc than it finds where it runs.
ARG BUILD_BASE=docker.io/library/rust:1.95.0-slim-trixie@sha256:e14e87345b4d5964ddcc3491d27ee046a0f23820f340c3c1e24da6880141f7c0
ARG RUNTIME_BASE=gcr.io/distroless/cc-debian13:nonroot@sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97


# For authors: the compiler and the glibc of this image, and the plugin-api that belongs to it.
FROM ${BUILD_BASE} AS builder
WORKDIR /usr/src/plugin-host
COPY Cargo.toml ./
COPY plugin-api plugin-api
CMD ["cargo", "build", "--release"]


# The crates' manifests, with nothing in the crates: this stage runs again for every change, but what it leaves behind
# is the same as long as no dependency changes, and then the next stage is taken from the cache.
FROM ${BUILD_BASE} AS manifests
WORKDIR /manifests
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -name lib.rs ! -name main.rs ! -path '*/benches/*.rs' -delete \
    && find . -type d -empty -delete \
    && echo 'fn main() {}' >/empty.rs \
    && find . -name '*.rs' -exec cp /empty.rs '{}' ';'


# The dependencies. What came out of the empty crates is thrown away, so that it can't be taken for newer than them.
FROM ${BUILD_BASE} AS dependencies
ENV CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never
WORKDIR /build
COPY --from=manifests /manifests ./
RUN cargo build --release --locked -p host -p metrics -p collector -p python \
    && cargo clean --release -p host -p store -p figures -p plugin-api -p metrics -p collector -p python


FROM dependencies AS build
COPY plugin-api plugin-api
COPY figures figures
COPY store store
COPY plugins plugins
COPY host host
RUN cargo build --release --locked -p host -p metrics -p collector -p python \
    && install -D -t /image/bin target/release/plugin-host \
    && install -D -m 644 -t /image/plugins target/release/libmetrics.so target/release/libcollector.so \
    && install -D -m 644 -t /image/python target/release/libpython_handler.so \
    && install -d -m 1777 /image/state/plugin-host \
    && rm -rf target


# What is built without a target is this, by the last line of this file.
FROM ${RUNTIME_BASE} AS host
ARG RUNTIME_BASE
COPY --from=build /image/bin/ /usr/bin/
COPY --from=build /image/plugins/ /usr/lib/plugin-host/
# The only place that is written to; a tmpfs there has to allow `exec`, since plugins are mapped from it.
COPY --from=build /image/state/ /var/lib/
VOLUME /var/lib/plugin-host

ENV STATE_DIR=/var/lib/plugin-host HTTP_ADDR=0.0.0.0:8080
EXPOSE 8080
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 CMD ["/usr/bin/plugin-host", "healthcheck"]
ENTRYPOINT ["/usr/bin/plugin-host"]
CMD ["run"]

# Last, since they change with every commit and every layer above is the same without them.
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="plugin-host" \
      org.opencontainers.image.description="Calls handlers from shared libraries when data in Redis changes" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.base.name="${RUNTIME_BASE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"


# CPython and its packages, of the Debian of both bases: whatever is imported, the libraries that it asks for, and no more.
FROM ${BUILD_BASE} AS cpython
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008 # whatever version that Debian has
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-numpy python3-pandas python3-redis \
    && apt-get install --yes --no-install-recommends "libpython$(python3 -c 'import sys; print("3.%d" % sys.version_info[1])')" \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /python
RUN name=$(python3 -c 'import sys; print("python3.%d" % sys.version_info[1])') library=$(ldconfig -p | grep -o -m 1 "/.*/lib$name.so.1.0") \
    && find "/usr/lib/$name" /usr/lib/python3 /usr/share/zoneinfo "/usr/bin/$name" /usr/bin/python3 | tar -c --no-recursion -T - | tar -x \
    && { echo "$library"; find "/usr/lib/$name" /usr/lib/python3 -name '*.so' -exec ldd '{}' + | awk '$2 == "=>" && $3 ~ "^/" { print $3 }'; } | sort -u \
    | while read -r file; do \
        case $(dpkg-query --search "$(realpath "$file")") in libc6:* | libgcc-s1:*) continue ;; esac; \
        install -D -m 644 "$(realpath "$file")" "usr/${file#/usr/}"; \
    done


# For handlers in Python.
FROM host AS python
COPY --from=cpython /python/ /
COPY --from=build /image/python/ /usr/lib/plugin-host/
# Texts are UTF-8, as they are in the images of Python.
ENV PYTHON_PLUGIN=/usr/lib/plugin-host/libpython_handler.so LANG=C.UTF-8 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt


# Nothing of Python: builders that look ahead pass by the two stages before.
FROM host
