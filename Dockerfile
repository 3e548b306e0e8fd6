# The image: what requirements.lock pins, each file checked by its hash, and our wheel, in an environment of their own.
# `make image` builds it. Nothing in it needs to be written to, and any user may run it.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# Everything that is installed below comes out of /build/wheels, and nothing gets there unchecked.
COPY requirements.lock ./
RUN python -m pip wheel --no-deps --only-binary=:all: --require-hashes --requirement requirements.lock --wheel-dir wheels
# The wheel, made by the locked setuptools.
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY adapter ./adapter
COPY optimizer ./optimizer
RUN python -m venv tools && tools/bin/python -m pip install --no-index --upgrade --find-links wheels setuptools
RUN tools/bin/python -m pip wheel --no-deps --no-index --no-build-isolation --wheel-dir own .
# The environment: the wheel and what it depends on; the tools of development stay behind.
RUN python -m venv --without-pip /opt/variant-autoscaler
RUN python -m pip --python /opt/variant-autoscaler/bin/python install --no-index --find-links wheels own/*.whl

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="variant-autoscaler" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/variant-autoscaler /opt/variant-autoscaler
# HOME: a user without an entry in /etc/passwd has none otherwise, and libraries look for their files there.
ENV PATH=/opt/variant-autoscaler/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Pages, and the external metrics API.
EXPOSE 8080 6443
USER 65532:65532
ENTRYPOINT ["variant-autoscaler"]
CMD ["--help"]
