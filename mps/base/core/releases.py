"""Whether a database belongs to this release: made by it, older, or not to be upgraded at all."""

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from mps.base.core import sql_files

TOO_OLD = (
    "This database was made by a version of MPS before 1.0.0, which cannot be upgraded. "
    "Keep using it with that version, or delete it and start anew: make reset "
    "(with a server of your own: drop the database)."
)


def find_misfit(connection: BaseDatabaseWrapper) -> str:
    """Return why this release can neither use nor upgrade the database; nothing if it can.

    :param connection: as mps_owner or mps_web.
    """
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return ""
    ours = {config.label for config in apps.get_app_configs() if hasattr(config, "sql_files")}
    applied = {key for key in recorder.applied_migrations() if key[0] in ours}
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('core_sqlfile') IS NULL")
        if applied and cursor.fetchone()[0]:
            return TOO_OLD
    loader = MigrationExecutor(connection).loader
    unknown = sorted(applied - loader.disk_migrations.keys())
    if not unknown:
        return ""
    return (
        f"This database was made by a newer version of MPS: the migration {'.'.join(unknown[0])} "
        "is not known here. Install that version again."
    )


def find_missing(connection: BaseDatabaseWrapper) -> str:
    """Return what `manage.py migrate` has yet to do, or nothing.

    :param connection: as mps_owner or mps_web.
    """
    executor = MigrationExecutor(connection)
    for migration, _backwards in executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return f"migrations are missing ({migration})"
    for file in sql_files.list_pending(connection):
        return f"{file} has not been applied"
    return ""
