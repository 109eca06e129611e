# syntax=docker/dockerfile:1

# Chapterhouse for the CPU, or for NVIDIA GPUs (their driver is the host's):
#   docker build --tag chapterhouse:cpu .
#   docker build --tag chapterhouse:cuda --build-arg ACCELERATOR=cuda .
# The same interpreter for ever: --build-arg PYTHON=python:3.11-slim-bookworm@sha256:…, as `docker buildx imagetools
# inspect python:3.11-slim-bookworm` says its digest. What is installed has its versions and hashes in deploy/locks.
# Where there is no Docker engine, `python -m deploy.native` carries out these same lines; for that, a path means the
# same directory in every stage.
ARG ACCELERATOR=cpu
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS interpreter

FROM interpreter AS environment
ENV PATH=/opt/chapterhouse/bin:$PATH
RUN python -m venv /opt/chapterhouse
COPY deploy/locks /requirements

# torch comes first, from one index. Its CPU wheel needs nothing that is not locked.
FROM environment AS torch-cpu
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --index-url "$TORCH_CPU_INDEX" --requirement /requirements/torch.txt

# The wheels of the default index bring CUDA's libraries with them.
FROM environment AS torch-cuda
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --requirement /requirements/torch.txt

FROM interpreter AS wheel
WORKDIR /build
COPY deploy/locks deploy/locks
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv tools && tools/bin/pip install --require-hashes --requirement deploy/locks/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY chapterhouse chapterhouse
COPY service service
COPY models_store models_store
RUN --mount=type=cache,target=/root/.cache/pip \
    tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM torch-${ACCELERATOR} AS installed
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --require-hashes --requirement /requirements/service.txt --requirement /requirements/image.txt
COPY --from=wheel /wheels /wheels
RUN pip install --no-index --no-deps /wheels/*.whl && pip check

FROM interpreter AS service
LABEL org.opencontainers.image.title="Chapterhouse" \
      org.opencontainers.image.description="Serves the classic networks of deep learning's textbook chapters over HTTP and measures generative models." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --user-group --uid 10001 --home-dir /var/lib/chapterhouse --shell /usr/sbin/nologin chapterhouse \
    && install --directory --owner=chapterhouse --group=chapterhouse /var/lib/chapterhouse /var/cache/chapterhouse
COPY --from=installed /opt/chapterhouse /opt/chapterhouse
ENV PATH=/opt/chapterhouse/bin:$PATH \
    CHAPTERHOUSE_HOST=0.0.0.0 \
    CHAPTERHOUSE_PORT=8000 \
    CHAPTERHOUSE_STATE_DIR=/var/lib/chapterhouse \
    CHAPTERHOUSE_DATA_DIR=/var/cache/chapterhouse
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
# The first is written while serving; the second holds datasets and may be mounted read-only.
VOLUME ["/var/lib/chapterhouse", "/var/cache/chapterhouse"]
EXPOSE 8000
STOPSIGNAL SIGTERM
# http.client, because it heeds no proxy of the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
    CMD python -c "from http.client import HTTPConnection as C; c = C('127.0.0.1', $CHAPTERHOUSE_PORT, timeout=4); c.request('GET', '/health/ready'); exit(c.getresponse().status != 200)"
ENTRYPOINT ["chapterhouse"]
CMD ["serve"]
