# syntax=docker/dockerfile:1
# One image, two static programs: /controller runs the control plane, /sidecar guards a pod. Nothing else is in it but the
# certificate authorities that public key URLs are checked against.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS=linux TARGETARCH VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY sidecar sidecar
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -tags grpcnotrace -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/ ./cmd/controller ./cmd/sidecar

FROM scratch
LABEL org.opencontainers.image.source=https://github.com/bearerguard/bearerguard \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/controller /out/sidecar /
USER 65532:65532
ENTRYPOINT ["/sidecar"]
