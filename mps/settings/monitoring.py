"""Settings of health checks, alerts, e-mail and logs."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from mps.base.core import logs
from mps.settings.environment import DEBUG, MPS_DEMO, env

# Health is a share of what ended in this window, if there was enough of it to say anything.
MPS_HEALTH_WINDOW_SECONDS = env.int("MPS_HEALTH_WINDOW_SECONDS", default=900)
MPS_HEALTH_MIN_CHARGES = env.int("MPS_HEALTH_MIN_CHARGES", default=20)
MPS_HEALTH_MAX_FAILED_PERCENT = env.float("MPS_HEALTH_MAX_FAILED_PERCENT", default=5)
MPS_HEALTH_MIN_CODES = env.int("MPS_HEALTH_MIN_CODES", default=50)
MPS_HEALTH_MAX_EXPIRED_PERCENT = env.float("MPS_HEALTH_MAX_EXPIRED_PERCENT", default=30)
MPS_HEALTH_MAX_SETTLEMENT_LAG_SECONDS = env.int(
    "MPS_HEALTH_MAX_SETTLEMENT_LAG_SECONDS", default=3600
)
MPS_HEALTH_MAX_WEBHOOK_LAG_SECONDS = env.int("MPS_HEALTH_MAX_WEBHOOK_LAG_SECONDS", default=900)
MPS_HEALTH_MAX_SEAL_LAG_SECONDS = env.int("MPS_HEALTH_MAX_SEAL_LAG_SECONDS", default=900)
MPS_HEALTH_MIN_PARTITION_MONTHS = env.int("MPS_HEALTH_MIN_PARTITION_MONTHS", default=2)
MPS_HEALTH_MAX_QUEUE_DEPTH = env.int("MPS_HEALTH_MAX_QUEUE_DEPTH", default=1000)
MPS_HEALTH_MAX_JOB_DELAY_SECONDS = env.int("MPS_HEALTH_MAX_JOB_DELAY_SECONDS", default=900)
MPS_ALERT_EMAILS = env.list("MPS_ALERT_EMAILS", default=[])
MPS_ALERT_WEBHOOK_URL = env.str("MPS_ALERT_WEBHOOK_URL", default="")
MPS_ALERT_WEBHOOK_SECRET = env.str("MPS_ALERT_WEBHOOK_SECRET", default="")
if MPS_ALERT_WEBHOOK_URL and not MPS_ALERT_WEBHOOK_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured("MPS_ALERT_WEBHOOK_URL must begin with http:// or https://.")
MPS_METRICS_TOKEN = env.str("MPS_METRICS_TOKEN", default="")
vars().update(
    env.email_url(
        "EMAIL_URL", default="consolemail://" if DEBUG or MPS_DEMO else "smtp://localhost:25"
    )
)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="mps@localhost")
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "structlog.stdlib.ProcessorFormatter",
            "foreign_pre_chain": [],
            "processors": [logs.render],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},
        # It says at each start that it draws no bitmaps; the barcodes here are SVG.
        "pyBarcode": {"level": "WARNING"},
        # At DEBUG it writes addresses with their queries: providers take codes and secrets there.
        "urllib3": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
