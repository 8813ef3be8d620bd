# The service on a CPU. Two stages: the second holds the environment and no tools to build it.
FROM python:3.13-slim AS build
WORKDIR /src
# The locked packages first: they change less often than the code.
COPY deploy/install.sh deploy/
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY bot bot
COPY models models
COPY storage storage
RUN deploy/install.sh /opt/tagecho && /opt/tagecho/bin/python -m compileall -q /opt/tagecho/lib

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home --home-dir /data --shell /usr/sbin/nologin tagecho \
    && chmod 700 /data
COPY --from=build /opt/tagecho /opt/tagecho
COPY config.toml /config/config.toml
# The environment wins over the file: the data folder is the volume, whatever the file says.
ENV PATH=/opt/tagecho/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TAGECHO_CONFIG=/config/config.toml \
    TAGECHO_DATA__DIR=/data
USER tagecho
VOLUME /data
WORKDIR /data
EXPOSE 8490
# Asks inside the container, where the service listens on loopback (or on every address).
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8490/healthz', timeout=8)"]
# SIGTERM finishes or requeues what is in hand, within 45 seconds.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tagecho"]
CMD ["run"]
