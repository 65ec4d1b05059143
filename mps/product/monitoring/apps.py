import os
from pathlib import Path

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from mps.base.console.navigation import Page


class WatchConfig(AppConfig):
    name = "mps.product.monitoring"
    label = "monitoring"
    verbose_name = _("Monitoring")
    sql_files = ("monitoring", "policies")
    jobs = {
        gettext_noop("check health"): {"task": "monitoring.check_health", "schedule": 300.0},
        gettext_noop("reconcile"): {"task": "monitoring.reconcile", "schedule": 3600.0},
    }
    staff_rights = {
        "risk": {"view": "incident", "change": "incident"},
    }
    navigation = (Page("system", 1, _("Incidents"), "warning", "monitoring.incident"),)

    def ready(self) -> None:
        # Where web processes that share a port keep their figures; they are written from here on.
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
