# syntax=docker/dockerfile:1
# The image of Pharos: one binary and links with the names of Kafka's tools. The base of the last stage
# has a C library, certificates and a busybox for health checks and a shell, and nothing else.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# Dependencies and what was compiled of them stay in caches from one build to the next.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --release --locked --bin pharos \
 && mkdir -p /image/usr/local/bin /image/var/lib/pharos \
 && cp target/release/pharos /image/usr/local/bin/pharos \
 && cp target/release/pharos /usr/local/bin/pharos \
 && pharos tools install /image/usr/local/bin

FROM gcr.io/distroless/cc-debian12:debug-nonroot
COPY --from=build /image/usr/local/bin/ /usr/local/bin/
COPY --from=build --chown=65532:65532 /image/var/lib/pharos/ /var/lib/pharos/
ENV KAFKA_LOG_DIRS=/var/lib/pharos
VOLUME /var/lib/pharos
WORKDIR /var/lib/pharos
# Kafka; metrics, health and beans.
EXPOSE 9092 9404
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s \
    CMD ["/busybox/wget", "-q", "-O", "/dev/null", "http://localhost:9404/health/ready"]
ENTRYPOINT ["/usr/local/bin/pharos"]
CMD ["up"]
