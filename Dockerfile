# One image for both roles: a node (`docker run … IMAGE`) and a hub (`docker run … IMAGE hub run`). How to use it: docs/howto/run-the-image.md.
#
#   docker buildx build --platform linux/amd64,linux/arm64 .
#
# BASE names the base by digest. A release looks the digest of Debian's newest bookworm-slim up and passes it (.github/workflows/release.yml); the image's provenance and
# the summary of that run have it. The default here, for builds by hand, is the index for all architectures of bookworm-20260824-slim: taken from other projects' pins of
# that tag, not looked up by us. `docker buildx imagetools inspect debian:bookworm-slim` prints the newest one.
# Where no registry is reachable, tools/image builds on a base of its own.
ARG BASE=debian:bookworm-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171
# Where the wheel is built and the locked packages are fetched; nothing of it but /opt/spokewire gets into the image.
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
RUN apt-get -q update \
 && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends ca-certificates python3 python3-venv
COPY tools/uv.txt /src/tools/
RUN python3 -m venv /uv && /uv/bin/pip install --quiet --disable-pip-version-check -r /src/tools/uv.txt
WORKDIR /src
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt UV_PYTHON=/usr/bin/python3 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy \
    UV_NO_CACHE=1 UV_PROJECT_ENVIRONMENT=/opt/spokewire/.venv
COPY pyproject.toml uv.lock README.md LICENSE ./
# The locked packages first: they change less often than we do.
RUN /uv/bin/uv sync --frozen --quiet --no-dev --no-install-project --compile-bytecode
COPY src src
RUN /uv/bin/uv build --quiet --wheel --out-dir /wheel \
 && /uv/bin/uv pip install --quiet --python /opt/spokewire/.venv/bin/python --no-deps --compile-bytecode /wheel/*.whl

FROM ${BASE}
# No shell tools of the network: links and firewall are spoken to directly. netbase has the names of protocols, which nftables looks up. wireguard-go is for
# kernels without WireGuard.
RUN apt-get -q update \
 && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends python3 libnftables1 netbase wireguard-tools wireguard-go \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/lib/dpkg/*-old /var/log/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/* \
 && useradd --system --uid 10001 --no-create-home --home-dir /var/lib/spokewire --shell /usr/sbin/nologin spokewire \
 && install -d -o spokewire -g spokewire -m 0700 /var/lib/spokewire \
 && install -d -o spokewire -g spokewire -m 0755 /run/wireguard
COPY --from=build /opt/spokewire /opt/spokewire
COPY packaging/image/spokewire packaging/image/healthy /usr/local/bin/
# Keys and documents. Without a named volume they are lost with the container, and the machine has to be given a new token.
VOLUME /var/lib/spokewire
# A node's public status; a hub's WireGuard and API.
EXPOSE 8000/tcp 51820/udp 443/tcp
# The daemon removes its interface and its firewall table, then ends.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["healthy"]
# Root is given up at once: packaging/image/spokewire says what it is needed for.
ENTRYPOINT ["spokewire"]
CMD ["node", "run"]
