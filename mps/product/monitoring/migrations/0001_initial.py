import django.contrib.postgres.fields
from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("core", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Incident",
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
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("database", "the database does not answer"),
                            ("redis", "Redis does not answer"),
                            ("failed_payments", "too many payments fail"),
                            ("expired_codes", "too many codes expire unused"),
                            ("audit_silence", "traffic leaves no audit events"),
                            ("audit_unsealed", "audit events are not sealed"),
                            ("webhooks_late", "webhooks are late"),
                            ("settlement_late", "settlement is late"),
                            ("partitions", "partitions run out"),
                            ("queue", "the queue grows: is a worker running?"),
                            ("jobs", "jobs do not run: are beat and worker running?"),
                            ("reconcile", "the books differ"),
                            ("reconcile_full", "the books differ, by the full check"),
                            ("check_failed", "a check cannot be made"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                (
                    "opened_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(), verbose_name="opened at"
                    ),
                ),
                (
                    "last_seen_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(), verbose_name="last seen at"
                    ),
                ),
                ("closed_at", models.DateTimeField(null=True, verbose_name="closed at")),
                ("details", models.JSONField(verbose_name="details")),
                (
                    "told",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=20),
                        default=list,
                        size=None,
                        verbose_name="told",
                    ),
                ),
                ("claimed_until", models.DateTimeField(null=True)),
                ("notified_at", models.DateTimeField(null=True, verbose_name="all told of it at")),
                (
                    "resolution_notified_at",
                    models.DateTimeField(null=True, verbose_name="all told of its end at"),
                ),
            ],
            options={
                "verbose_name": "incident",
                "verbose_name_plural": "incidents",
                "indexes": [
                    models.Index(
                        condition=models.Q(
                            ("notified_at", None),
                            models.Q(
                                ("closed_at__isnull", False), ("resolution_notified_at", None)
                            ),
                            _connector="OR",
                        ),
                        fields=["opened_at"],
                        name="monitoring_incident_untold",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("closed_at", None)),
                        fields=("kind",),
                        name="monitoring_incident_one_open_of_a_kind",
                    )
                ],
            },
        ),
        RunSQLFile("monitoring", "0001_initial"),
    ]
