# The image of the gateway: see docs/container.md. `make image-check` makes and tries the same layout where there is no container engine.
#
# Both images may be named otherwise (a mirror, a digest). PYTHON_IMAGE builds with pip; RUNTIME_IMAGE needs neither pip nor a shell, but the same
# Python at the same place.
ARG PYTHON_IMAGE=python:3.13-slim-trixie
ARG RUNTIME_IMAGE=${PYTHON_IMAGE}
ARG NODE_IMAGE=node:24-trixie-slim

# --- the console: static files, nothing of Node runs later
FROM ${NODE_IMAGE} AS console
WORKDIR /src/console
COPY console/package.json console/package-lock.json ./
# No package gets to run a script of its own here.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY console/ ./
RUN npm run build

# --- the wheel: the backend is locked, too, and fetches nothing
FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python -m pip install --no-cache-dir --require-hashes --no-deps --only-binary=:all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY config/ config/
COPY gateway/ gateway/
COPY --from=console /src/gateway/console/ gateway/console/
RUN python -m hatchling build -t wheel -d /dist

# --- what is installed: every package by its hash, as a wheel; no code of theirs runs in between
FROM ${PYTHON_IMAGE} AS tree
COPY requirements/run-otel.txt /requirements/
RUN python -m venv --without-pip /opt/image-gateway \
    && python -m pip --python /opt/image-gateway/bin/python install --no-cache-dir --require-hashes --no-deps --only-binary=:all: \
    -r /requirements/run-otel.txt
COPY --from=wheel /dist/ /dist/
RUN python -m pip --python /opt/image-gateway/bin/python install --no-cache-dir --no-deps --no-index /dist/*.whl \
    && mkdir /state

# --- what runs
FROM ${RUNTIME_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="image-gateway" \
    org.opencontainers.image.description="An OpenAI-compatible gateway for image generation" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}"
COPY --from=tree /opt/image-gateway/ /opt/image-gateway/
COPY config/container.yaml /etc/image-gateway/gateway.yaml
COPY config/catalog.yaml /etc/image-gateway/catalog.yaml
COPY --from=tree --chown=10001:10001 --chmod=0700 /state/ /var/lib/image-gateway/
# Bytecode is in the image; the volume is the home, and no place to import from.
ENV PATH=/opt/image-gateway/bin:/usr/local/bin:/usr/bin:/bin \
    GATEWAY_CONFIG=/etc/image-gateway/gateway.yaml \
    HOME=/var/lib/image-gateway \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/image-gateway
VOLUME ["/var/lib/image-gateway", "/tmp"]
EXPOSE 8080 9090
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["gateway", "healthcheck"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
