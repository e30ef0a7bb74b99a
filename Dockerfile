# The image: one static binary, a CA bundle, and /data. No shell, no libc, no root.
#
#   docker build -t kapso-slack .
#
# The stage `final` copies everything from the stage `build`, so that a build context
# of that name can replace it: scripts/test-image builds the stage this way, without
# pulling an image. No cache mounts and no heredocs, because some hosts' builders do
# not support them.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# With an explicit target, crt-static does not apply to build scripts and procedural
# macros, which cannot be static. It is the host's triple, so that arm64 builds too.
RUN triple="$(rustc --print host-tuple)" \
 && RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --release --locked --no-default-features --bin kapso-slack --target "$triple" \
 && install -D -m 0755 "target/$triple/release/kapso-slack" /out/kapso-slack \
 && ! readelf -lW /out/kapso-slack | grep -q INTERP \
 && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ca-certificates.crt \
 && install -d -m 0755 /out/data

FROM scratch AS final
COPY --from=build --chown=0:0 /out/etc /etc
COPY --from=build --chown=0:0 /out/kapso-slack /kapso-slack
COPY --from=build --chown=65532:65532 /out/data /data

ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kapso-slack" \
      org.opencontainers.image.description="Kapso's WhatsApp sandbox, in Slack" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

ENV PORT=8080 \
    DATABASE_URL=sqlite:/data/kapso-slack.db
EXPOSE 8080
# Numeric, so that Kubernetes can check runAsNonRoot.
USER 65532:65532
# SQLite writes its temporary files here, because there is no /tmp.
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["/kapso-slack", "healthcheck"]
ENTRYPOINT ["/kapso-slack"]
