import django.db.models.deletion
from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("cards", "0001_initial"),
        ("core", "0001_initial"),
        ("ledger", "0001_initial"),
        ("members", "0002_sql"),
        ("merchants", "0002_sql"),
    ]
    operations = [
        RunSQLFile(
            "cards",
            "0002",
            state_operations=[
                migrations.CreateModel(
                    name="CodeHistory",
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
                        ("code_hash", models.BinaryField(max_length=32)),
                        ("issued_at", models.DateTimeField(verbose_name="issued at")),
                        ("expires_at", models.DateTimeField(verbose_name="expired at")),
                        ("ended_at", models.DateTimeField(verbose_name="ended at")),
                        (
                            "outcome",
                            models.CharField(max_length=10, verbose_name="outcome"),
                        ),
                        (
                            "card",
                            models.ForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="cards.card",
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="members.member",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "past payment code",
                        "verbose_name_plural": "past payment codes",
                    },
                ),
            ],
        ),
    ]
