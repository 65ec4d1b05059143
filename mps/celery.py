"""Entry point of the Celery worker and scheduler."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mps.settings")
# Django's checks are of the code, and `make lint` makes them; here they would load every page.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
app = Celery("mps")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
