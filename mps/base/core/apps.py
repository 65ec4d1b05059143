from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    name = "mps.base.core"
    label = "core"
    verbose_name = _("Platform")
    sql_files = ("clock", "scope", "access", "facts", "partitions", "policies", "jobs", "guesses")

    def ready(self) -> None:
        """Make our Celery app the current one, know the checks of settings, and hear of finished
        migrations, to grant the frameworks' tables.
        """
        from django.db.models.signals import post_migrate

        import mps.celery  # noqa: F401
        from mps.base.core import checks, grants  # noqa: F401

        post_migrate.connect(grants.grant_framework_tables, dispatch_uid="mps.base.core.grants")
