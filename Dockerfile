# The worker and every command, without a compiler and without root: `docker build -t sightline .`
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/sightline
ENV PATH=/opt/sightline/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Before the source, so that a change of ours does not fetch everything again.
COPY requirements/runtime.lock requirements/
RUN pip install --require-hashes --requirement requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY index index
COPY stream stream
# Build isolation off: what builds is what the next line pins.
RUN pip install setuptools==84.2.1 && pip install --no-deps --no-build-isolation . && pip uninstall --yes setuptools

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --create-home sightline \
 && install --directory --owner=sightline /var/cache/sightline
COPY --from=build /opt/sightline /opt/sightline
ENV PATH=/opt/sightline/bin:$PATH PYTHONUNBUFFERED=1 SIGHTLINE_CACHE_DIR=/var/cache/sightline
USER 10001
WORKDIR /home/sightline
EXPOSE 8900
STOPSIGNAL SIGTERM
ENTRYPOINT ["sightline"]
CMD ["worker"]
