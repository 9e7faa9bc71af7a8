# syntax=docker/dockerfile:1

# One image with the three programs: worker, enqueue and sandbox.
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
# Empty takes Go's default; give the mirror of your network with --build-arg.
ARG GOPROXY
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH
# The programs carry their time zones; certificates come from this stage.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -o /out/ ./cmd/worker ./cmd/enqueue ./cmd/sandbox
RUN mkdir /inbox

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# For the health checks: one static program, no shell.
COPY --from=busybox:1.37-musl /bin/wget /usr/bin/wget
COPY --from=build /out/ /usr/bin/
# A volume that is mounted here belongs to the user of the programs.
COPY --from=build --chown=65532:65532 /inbox /inbox
ENV PATH=/usr/bin
USER 65532:65532
EXPOSE 9090
# No ENTRYPOINT: the command names the program.
CMD ["worker", "run"]
