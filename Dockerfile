# Build:  docker build -t layercode-app .
# Run:    docker run --env-file .env --read-only --tmpfs /tmp -v layercode-app:/data -p 8000:8000 layercode-app
# For your own agents: COPY them over /project/agents, or mount them there.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt CHANGELOG.md CONTRIBUTING.md .env.example ./
COPY agents agents
COPY docs docs
COPY layercode_app layercode_app
RUN python -m venv /app \
    && /app/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".[redis,postgres]" \
    && /app/bin/python -m compileall -q /app/lib

FROM python:${PYTHON}-slim
RUN groupadd --system --gid 10001 agent \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /project agent \
    && install --directory --owner=10001 --group=10001 /project /data
COPY --from=build /app /app
COPY agents /project/agents
WORKDIR /project
# Logs go to stdout. Only /data and /tmp are written. /data holds the journal, unless the journal is in Redis. /tmp
# holds the metrics, which the workers share.
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    APP_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    LOG_FORMAT=json \
    LOG_DIR="" \
    METRICS_DIR=/tmp/metrics \
    LAYERCODE_STORE=sqlite:////data/journal.sqlite3
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=2)"]
ENTRYPOINT ["layercode-create-app"]
CMD ["run", "--agent", "starter"]
