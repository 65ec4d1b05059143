import django.db.models.deletion
from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("core", "0001_initial"),
        ("merchants", "0001_initial"),
        ("payments", "0001_initial"),
    ]

    operations = [
        RunSQLFile(
            "settlements",
            "0001_initial",
            state_operations=[
                migrations.CreateModel(
                    name="Settlement",
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
                            "mode",
                            models.CharField(
                                choices=[
                                    ("realtime", "real time"),
                                    ("t_plus_1", "next day"),
                                    ("monthly", "monthly"),
                                ],
                                max_length=10,
                                verbose_name="mode",
                            ),
                        ),
                        ("period_start", models.DateTimeField(verbose_name="from")),
                        ("period_end", models.DateTimeField(verbose_name="until")),
                        ("currency", models.CharField(max_length=3, verbose_name="currency")),
                        (
                            "gross",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="payments"
                            ),
                        ),
                        (
                            "refunds",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="refunds"
                            ),
                        ),
                        (
                            "cash_topups",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="cash top-ups"
                            ),
                        ),
                        (
                            "fee",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="fee"
                            ),
                        ),
                        (
                            "carried_in",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="carried in"
                            ),
                        ),
                        (
                            "net",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="net"
                            ),
                        ),
                        ("tx_count", models.PositiveIntegerField(verbose_name="transactions")),
                        (
                            "status",
                            models.CharField(
                                choices=[
                                    ("pending", "pending"),
                                    ("settled", "settled"),
                                    ("paid", "paid out"),
                                    ("failed", "failed"),
                                ],
                                default="pending",
                                max_length=10,
                                verbose_name="status",
                            ),
                        ),
                        ("created_at", models.DateTimeField(verbose_name="made at")),
                        (
                            "approved_at",
                            models.DateTimeField(null=True, verbose_name="approved at"),
                        ),
                        (
                            "approved_by",
                            models.CharField(
                                blank=True, default="", max_length=80, verbose_name="approved by"
                            ),
                        ),
                        ("paid_at", models.DateTimeField(null=True, verbose_name="paid at")),
                        (
                            "payout_reference",
                            models.CharField(
                                blank=True,
                                default="",
                                max_length=100,
                                verbose_name="payout reference",
                            ),
                        ),
                        (
                            "failure_reason",
                            models.CharField(
                                blank=True, default="", max_length=200, verbose_name="failure"
                            ),
                        ),
                        (
                            "carried_to",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="carried_from",
                                to="settlements.settlement",
                                verbose_name="carried to",
                            ),
                        ),
                        (
                            "merchant",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="settlements",
                                to="merchants.merchant",
                                verbose_name="merchant",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "settlement",
                        "verbose_name_plural": "settlements",
                    },
                ),
                migrations.CreateModel(
                    name="Line",
                    fields=[
                        (
                            "tx",
                            models.OneToOneField(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                primary_key=True,
                                related_name="settlement_line",
                                serialize=False,
                                to="payments.transaction",
                            ),
                        ),
                        (
                            "gross",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="payments"
                            ),
                        ),
                        (
                            "refund",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="refunds"
                            ),
                        ),
                        (
                            "cash_topup",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="cash top-ups"
                            ),
                        ),
                        (
                            "fee",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="fee"
                            ),
                        ),
                        (
                            "settlement",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="lines",
                                to="settlements.settlement",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "settlement line",
                        "verbose_name_plural": "settlement lines",
                    },
                ),
            ],
        ),
    ]
