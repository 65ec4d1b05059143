# One image for web, worker, beat and every command; see docs/operations.md.
FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 \
    PATH=/opt/venv/bin:$PATH DJANGO_SETTINGS_MODULE=mps.settings

RUN useradd --uid 10001 --create-home mps && python -m venv /opt/venv

# The pins change less often than the code.
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-deps --require-hashes -r /tmp/requirements.txt && rm /tmp/requirements.txt

WORKDIR /srv/mps
COPY . .
RUN python -m compileall -q .

USER mps
EXPOSE 8000

# One thread a worker, about one worker a core. Secrets come by the environment when it starts.
CMD ["granian", "mps.wsgi:application", "--interface", "wsgi", "--host", "0.0.0.0", \
     "--port", "8000", "--no-ws", "--workers", "2", "--blocking-threads", "1", \
     "--respawn-failed-workers"]
