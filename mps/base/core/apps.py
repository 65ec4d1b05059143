from celery.schedules import crontab
from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop


class CoreConfig(AppConfig):
    name = "mps.base.core"
    label = "core"
    verbose_name = _("Platform")
    sql_files = (
        "clock",
        "scope",
        "access",
        "locks",
        "facts",
        "partitions",
        "policies",
        "jobs",
        "guesses",
    )
    jobs = {
        gettext_noop("make partitions"): {
            "task": "core.make_partitions",
            "schedule": crontab(hour="18", minute="10"),
        },
        gettext_noop("purge sessions and job runs"): {
            "task": "core.purge",
            "schedule": crontab(hour="18", minute="20"),
        },
    }

    def ready(self) -> None:
        """Make our Celery app the current one, with all apps' jobs; know the checks of settings,
        and hear of finished migrations, to grant the frameworks' tables.
        """
        from django.db.models.signals import post_migrate

        from mps.base.core import checks, grants, jobs  # noqa: F401
        from mps.celery import app

        app.conf.beat_schedule = jobs.scheduled()

        post_migrate.connect(grants.grant_framework_tables, dispatch_uid="mps.base.core.grants")
