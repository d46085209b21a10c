# One image for every service: `anteroom run NAME` says which. Tags are pinned; so are packages, by constraints.txt.

FROM node:22.21.1-bookworm-slim AS node

# The viewer: fetched through npm, checked against its hash, trimmed, minified.
FROM python:3.11.14-slim-bookworm AS viewer
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /src
COPY scripts/__init__.py scripts/viewer.py scripts/
RUN python -m scripts.viewer && test -s services/view/ohif/index.html

# Packages first: they change less often than the code.
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/anteroom
COPY pyproject.toml constraints.txt ./
COPY scripts/__init__.py scripts/requirements.py scripts/
RUN python -m scripts.requirements cluster telemetry > /tmp/requirements.txt \
    && /opt/anteroom/bin/pip install --no-cache-dir -c constraints.txt -r /tmp/requirements.txt
COPY LICENSE ./
COPY anteroom anteroom
COPY kit kit
COPY schemas schemas
COPY services services
COPY --from=viewer /src/services/view/ohif services/view/ohif
RUN /opt/anteroom/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/anteroom/bin/pip uninstall --yes setuptools \
    && /opt/anteroom/bin/python -m compileall -q /opt/anteroom/lib

FROM python:3.11.14-slim-bookworm AS anteroom
LABEL org.opencontainers.image.title="Anteroom" \
      org.opencontainers.image.description="The room between the outside world and a hospital's clean PACS" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 10001 anteroom \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/anteroom --shell /usr/sbin/nologin anteroom \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/anteroom
COPY --from=build /opt/anteroom /opt/anteroom
ENV PATH=/opt/anteroom/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ANTEROOM_PROCESS_DATA=/var/lib/anteroom
WORKDIR /var/lib/anteroom
USER 10001:10001
EXPOSE 8080 11112 2575
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["anteroom"]
CMD ["--help"]
