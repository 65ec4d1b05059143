import django.contrib.postgres.fields
from django.db import migrations, models

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        RunSQLFile(
            "audit",
            "0002_seal",
            state_operations=[
                migrations.CreateModel(
                    name="Seal",
                    fields=[
                        ("number", models.BigIntegerField(primary_key=True, serialize=False, verbose_name="number")),
                        ("previous_digest", models.BinaryField(verbose_name="previous digest")),
                        ("digest", models.BinaryField(unique=True, verbose_name="digest")),
                        ("count", models.IntegerField(verbose_name="events")),
                        ("first_event_id", models.UUIDField(verbose_name="first event")),
                        ("last_event_id", models.UUIDField(verbose_name="last event")),
                        (
                            "event_ids",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.UUIDField(), size=None, verbose_name="events in order"
                            ),
                        ),
                        (
                            "event_hashes",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.BinaryField(), size=None, verbose_name="their hashes"
                            ),
                        ),
                        ("sealed_at", models.DateTimeField(verbose_name="sealed at")),
                    ],
                    options={"verbose_name": "audit seal", "verbose_name_plural": "audit seals"},
                ),
            ],
        ),
    ]
