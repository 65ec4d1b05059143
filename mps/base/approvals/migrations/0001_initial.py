import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("core", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        RunSQLFile(
            "approvals",
            "0001_initial",
            state_operations=[
                migrations.CreateModel(
                    name="Approval",
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
                        ("act", models.CharField(max_length=120, verbose_name="act")),
                        ("subject", models.CharField(max_length=200, verbose_name="on what")),
                        ("payload", models.JSONField(verbose_name="exactly what")),
                        (
                            "payload_hash",
                            models.CharField(max_length=64, verbose_name="its SHA-256"),
                        ),
                        ("reason", models.CharField(max_length=200, verbose_name="reason")),
                        (
                            "created_at",
                            models.DateTimeField(
                                db_default=mps.base.core.database.DatabaseNow(),
                                verbose_name="asked for at",
                            ),
                        ),
                        ("expires_at", models.DateTimeField(verbose_name="expires at")),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("requested", "waiting"),
                                    ("approved", "approved, under way"),
                                    ("rejected", "rejected"),
                                    ("expired", "expired"),
                                    ("done", "done"),
                                    ("failed", "approved, refused by the system"),
                                ],
                                default="requested",
                                max_length=10,
                                verbose_name="state",
                            ),
                        ),
                        ("decided_at", models.DateTimeField(null=True, verbose_name="decided at")),
                        (
                            "result",
                            models.CharField(
                                default="", max_length=1000, verbose_name="what came of it"
                            ),
                        ),
                        (
                            "checker",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                                verbose_name="decided by",
                            ),
                        ),
                        (
                            "maker",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                                verbose_name="asked for by",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "approval",
                        "verbose_name_plural": "approvals",
                    },
                )
            ],
        ),
    ]
