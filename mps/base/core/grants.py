"""Who may use the tables of the frameworks;

Each of our own apps grants its own in its migrations.
"""

from typing import Any

from django.apps import AppConfig
from django.db import connections

# Sessions, users, schedules: the web login uses these outside any principal's scope and inside the
# console's.
_FRAMEWORK_APPS = (
    "auth",
    "contenttypes",
    "sessions",
    "admin",
    "account",
    "mfa",
    "django_celery_beat",
)
_SHARED = "mps_web, platform_admin"


def grant_framework_tables(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Grant a framework app's tables to the web login and the console, after each migration.

    Safe to repeat.
    """
    if sender.label not in _FRAMEWORK_APPS:
        return
    connection = connections[using]
    tables = [model._meta.db_table for model in sender.get_models(include_auto_created=True)]
    with connection.cursor() as cursor:
        for table in tables:
            name = connection.ops.quote_name(table)
            cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {_SHARED}")
        cursor.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {_SHARED}")
