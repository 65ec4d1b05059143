"""Database settings."""

from typing import Any

from mps.settings.environment import env

_DATABASE_OPTIONS = {
    "connect_timeout": 5,
    # Statements of the hot path are prepared by name; PgBouncer 1.21+ keeps up with it in
    # transaction mode.
    "prepare_threshold": 2,
    "server_side_binding": True,
}


def _database(url: str) -> dict[str, Any]:
    config: dict[str, Any] = env.db_url_config(url)
    config["ENGINE"] = "django.db.backends.postgresql"
    config["OPTIONS"] = {**_DATABASE_OPTIONS, **config.get("OPTIONS", {})}
    config["CONN_MAX_AGE"] = None
    config["CONN_HEALTH_CHECKS"] = False
    return config


DATABASES: dict[str, dict[str, Any]] = {
    "default": _database(env.str("DATABASE_URL")),
}
if env.str("DATABASE_OWNER_URL", default=""):
    DATABASES["owner"] = _database(env.str("DATABASE_OWNER_URL"))
# Reports over many days read there, if it is set; see `db_scope.reporting_cursor()`.
if env.str("DATABASE_REPLICA_URL", default=""):
    DATABASES["replica"] = _database(env.str("DATABASE_REPLICA_URL"))
DATABASE_ROUTERS: list[str] = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
