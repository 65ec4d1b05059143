from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile
from mps.base.core.sql_files import RunRepeatableSQL


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        RunRepeatableSQL("core", "clock"),
        RunSQLFile(
            "core",
            "0001_initial",
            state_operations=[
                migrations.CreateModel(
                    name="JobRun",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                db_default=mps.base.core.database.NewId(),
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("name", models.CharField(max_length=80, verbose_name="job")),
                        (
                            "started_at",
                            models.DateTimeField(
                                db_default=mps.base.core.database.DatabaseNow(),
                                verbose_name="started at",
                            ),
                        ),
                        ("lease_until", models.DateTimeField(verbose_name="taken for dead from")),
                        (
                            "finished_at",
                            models.DateTimeField(null=True, verbose_name="finished at"),
                        ),
                        (
                            "outcome",
                            models.CharField(
                                choices=[
                                    ("running", "running"),
                                    ("ok", "done"),
                                    ("failed", "failed"),
                                    ("unfinished", "unfinished"),
                                ],
                                default="running",
                                max_length=10,
                                verbose_name="outcome",
                            ),
                        ),
                        ("result", models.JSONField(null=True, verbose_name="result")),
                        (
                            "error",
                            models.CharField(default="", max_length=80, verbose_name="error"),
                        ),
                    ],
                    options={
                        "verbose_name": "job run",
                        "verbose_name_plural": "job runs",
                    },
                )
            ],
        ),
    ]
