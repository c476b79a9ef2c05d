FROM python:3.13-slim AS build
RUN pip install --no-cache-dir "uv>=0.13,<0.14"
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy
WORKDIR /app
# First what seldom changes, so that a change of code does not fetch the dependencies again.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project
COPY . .
RUN uv sync --locked --no-dev

FROM python:3.13-slim
RUN useradd --system --no-create-home --shell /usr/sbin/nologin orderflow \
 && install -d -o orderflow /var/lib/orderflow/anchors
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
USER orderflow
EXPOSE 8080
CMD ["orderflow", "api"]
