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
        RunSQLFile(
            "audit",
            "0001_initial",
            state_operations=[
                migrations.CreateModel(
                    name="Event",
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
                        ("happened_at", models.DateTimeField(verbose_name="happened at")),
                        (
                            "actor_type",
                            models.CharField(max_length=20, verbose_name="kind of actor"),
                        ),
                        ("actor", models.CharField(max_length=80, verbose_name="actor")),
                        ("action", models.CharField(max_length=60, verbose_name="action")),
                        (
                            "object_type",
                            models.CharField(max_length=40, verbose_name="kind of object"),
                        ),
                        ("object_id", models.CharField(max_length=80, verbose_name="object")),
                        ("context", models.JSONField(verbose_name="context")),
                        ("request_id", models.CharField(max_length=64, verbose_name="request")),
                        ("address", models.CharField(max_length=45, verbose_name="address")),
                    ],
                    options={
                        "verbose_name": "audit event",
                        "verbose_name_plural": "audit events",
                    },
                ),
                migrations.CreateModel(
                    name="Seal",
                    fields=[
                        (
                            "number",
                            models.BigIntegerField(
                                primary_key=True, serialize=False, verbose_name="number"
                            ),
                        ),
                        ("previous_digest", models.BinaryField(verbose_name="previous digest")),
                        ("digest", models.BinaryField(unique=True, verbose_name="digest")),
                        ("count", models.IntegerField(verbose_name="events")),
                        ("first_event_id", models.UUIDField(verbose_name="first event")),
                        ("last_event_id", models.UUIDField(verbose_name="last event")),
                        (
                            "event_ids",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.UUIDField(),
                                size=None,
                                verbose_name="events in order",
                            ),
                        ),
                        (
                            "event_hashes",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BinaryField(),
                                size=None,
                                verbose_name="their hashes",
                            ),
                        ),
                        ("sealed_at", models.DateTimeField(verbose_name="sealed at")),
                    ],
                    options={
                        "verbose_name": "audit seal",
                        "verbose_name_plural": "audit seals",
                    },
                ),
            ],
        ),
    ]
