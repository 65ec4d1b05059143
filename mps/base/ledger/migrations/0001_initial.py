import django.db.models.deletion
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
            "ledger",
            "0001_initial",
            state_operations=[
                migrations.CreateModel(
                    name="Account",
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
                                    ("card_money", "money on a card"),
                                    ("card_points", "points on a card"),
                                    ("merchant", "owed to a merchant"),
                                    ("clearing", "money from and to outside"),
                                    ("unclaimed", "unclaimed refunds"),
                                    ("points_issue", "points issued"),
                                    ("fee", "fees earned"),
                                    ("adjustment", "adjustments"),
                                ],
                                max_length=20,
                                verbose_name="kind",
                            ),
                        ),
                        ("unit", models.CharField(max_length=3, verbose_name="unit")),
                        (
                            "balance",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, null=True, verbose_name="balance"
                            ),
                        ),
                        ("created_at", models.DateTimeField(verbose_name="opened at")),
                    ],
                    options={
                        "verbose_name": "account",
                        "verbose_name_plural": "accounts",
                    },
                ),
                migrations.CreateModel(
                    name="Posting",
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
                        ("kind", models.CharField(max_length=20, verbose_name="kind")),
                        ("reference", models.UUIDField(verbose_name="reference")),
                        ("posted_at", models.DateTimeField(verbose_name="posted at")),
                    ],
                    options={
                        "verbose_name": "posting",
                        "verbose_name_plural": "postings",
                    },
                ),
                migrations.CreateModel(
                    name="Entry",
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
                            "amount",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="amount"
                            ),
                        ),
                        (
                            "balance_after",
                            models.DecimalField(
                                decimal_places=2,
                                max_digits=14,
                                null=True,
                                verbose_name="balance after",
                            ),
                        ),
                        (
                            "account",
                            models.ForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="entries",
                                to="ledger.account",
                            ),
                        ),
                        (
                            "posting",
                            models.ForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="entries",
                                to="ledger.posting",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "entry",
                        "verbose_name_plural": "entries",
                    },
                ),
            ],
        ),
    ]
