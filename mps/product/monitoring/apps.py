import os
from pathlib import Path

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WatchConfig(AppConfig):
    name = "mps.product.monitoring"
    label = "monitoring"
    verbose_name = _("Watching")
    sql_files = ("monitoring", "policies")

    def ready(self) -> None:
        # Where web processes that share a port keep their figures; they are written from here on.
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
