from decimal import Decimal

import django.db.models.deletion
from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("core", "0001_initial"),
        ("cards", "0001_initial"),
        ("members", "0001_initial"),
        ("merchants", "0001_initial"),
    ]

    operations = [
        RunSQLFile(
            "payments",
            "0001_initial",
            state_operations=[
                migrations.CreateModel(
                    name="Idempotency",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "scope_id",
                                "key",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("scope_id", models.UUIDField()),
                        ("key", models.CharField(max_length=255)),
                        ("request_hash", models.BinaryField(max_length=32)),
                        ("status", models.PositiveSmallIntegerField()),
                        ("body", models.JSONField()),
                        ("created_at", models.DateTimeField()),
                    ],
                ),
                migrations.CreateModel(
                    name="Order",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "merchant_id",
                                "external_order_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("merchant_id", models.UUIDField()),
                        ("external_order_id", models.CharField(max_length=64)),
                        ("tx_id", models.UUIDField(null=True)),
                        ("amount", models.DecimalField(decimal_places=2, max_digits=14, null=True)),
                        ("reversed_at", models.DateTimeField(null=True)),
                        ("refund_tx_id", models.UUIDField(null=True)),
                    ],
                ),
                migrations.CreateModel(
                    name="ProviderOrder",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "provider",
                                "provider_order_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("provider", models.CharField(max_length=30)),
                        ("provider_order_id", models.CharField(max_length=64)),
                        ("tx_id", models.UUIDField()),
                        ("card_id", models.UUIDField()),
                        ("amount", models.DecimalField(decimal_places=2, max_digits=14)),
                    ],
                ),
                migrations.CreateModel(
                    name="SandboxOrder",
                    fields=[
                        (
                            "order_id",
                            models.CharField(max_length=40, primary_key=True, serialize=False),
                        ),
                        ("amount", models.DecimalField(decimal_places=2, max_digits=14)),
                        ("currency", models.CharField(max_length=3)),
                        ("return_path", models.CharField(max_length=200)),
                        (
                            "status",
                            models.CharField(
                                choices=[
                                    ("open", "open"),
                                    ("paid", "paid"),
                                    ("cancelled", "cancelled"),
                                ],
                                db_default="open",
                                max_length=12,
                            ),
                        ),
                        ("payment_id", models.CharField(db_default="", max_length=64)),
                        (
                            "created_at",
                            models.DateTimeField(db_default=mps.base.core.database.DatabaseNow()),
                        ),
                        ("expires_at", models.DateTimeField()),
                        ("decided_at", models.DateTimeField(null=True)),
                    ],
                ),
                migrations.CreateModel(
                    name="Consent",
                    fields=[
                        ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                        ("terminal_id", models.UUIDField(null=True)),
                        ("key", models.CharField(max_length=255)),
                        ("request_hash", models.BinaryField(max_length=32)),
                        ("card_no", models.CharField(max_length=14, verbose_name="card")),
                        ("voucher_card_id", models.UUIDField(null=True)),
                        ("voucher_member_id", models.UUIDField(null=True)),
                        (
                            "external_order_id",
                            models.CharField(max_length=64, verbose_name="order"),
                        ),
                        (
                            "payment_method",
                            models.CharField(max_length=20, verbose_name="payment method"),
                        ),
                        ("currency", models.CharField(max_length=3, verbose_name="currency")),
                        (
                            "amount",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="amount"
                            ),
                        ),
                        (
                            "final_amount",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="final amount"
                            ),
                        ),
                        ("tag", models.JSONField(verbose_name="tag")),
                        (
                            "state",
                            models.CharField(
                                choices=[
                                    ("awaiting", "awaiting"),
                                    ("approved", "approved"),
                                    ("closed", "closed"),
                                ],
                                max_length=10,
                                verbose_name="state",
                            ),
                        ),
                        ("created_at", models.DateTimeField(verbose_name="asked at")),
                        ("expires_at", models.DateTimeField(verbose_name="until")),
                        (
                            "card",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="cards.card",
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="members.member",
                            ),
                        ),
                        (
                            "merchant",
                            models.ForeignKey(
                                db_constraint=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="merchants.merchant",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "payment approval",
                        "verbose_name_plural": "payment approvals",
                    },
                ),
                migrations.CreateModel(
                    name="TopUp",
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
                        ("order_id", models.CharField(max_length=40, verbose_name="order")),
                        ("provider", models.CharField(max_length=20, verbose_name="provider")),
                        (
                            "amount",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="amount"
                            ),
                        ),
                        ("currency", models.CharField(max_length=3, verbose_name="currency")),
                        ("idempotency_key", models.CharField(editable=False, max_length=255)),
                        ("request_hash", models.BinaryField(max_length=32)),
                        (
                            "status",
                            models.CharField(
                                choices=[
                                    ("pending", "pending"),
                                    ("completed", "completed"),
                                    ("failed", "failed"),
                                    ("expired", "expired"),
                                    ("cancelled", "cancelled"),
                                ],
                                db_default="pending",
                                max_length=12,
                                verbose_name="status",
                            ),
                        ),
                        (
                            "failure_code",
                            models.CharField(
                                blank=True, db_default="", max_length=60, verbose_name="failure"
                            ),
                        ),
                        (
                            "reference",
                            models.CharField(
                                blank=True,
                                db_default="",
                                max_length=255,
                                verbose_name="provider's order",
                            ),
                        ),
                        (
                            "pay_url",
                            models.CharField(
                                blank=True, db_default="", editable=False, max_length=4000
                            ),
                        ),
                        (
                            "payment_id",
                            models.CharField(
                                blank=True,
                                db_default="",
                                max_length=64,
                                verbose_name="provider's payment",
                            ),
                        ),
                        (
                            "paid_amount",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, null=True, verbose_name="paid"
                            ),
                        ),
                        (
                            "paid_currency",
                            models.CharField(
                                blank=True, db_default="", max_length=3, verbose_name="paid in"
                            ),
                        ),
                        ("paid_at", models.DateTimeField(null=True, verbose_name="paid at")),
                        ("late", models.BooleanField(db_default=False, verbose_name="late")),
                        ("tx_id", models.UUIDField(editable=False, null=True, unique=True)),
                        (
                            "created_at",
                            models.DateTimeField(
                                db_default=mps.base.core.database.DatabaseNow(),
                                editable=False,
                                verbose_name="created at",
                            ),
                        ),
                        ("expires_at", models.DateTimeField(verbose_name="expires at")),
                        ("closed_at", models.DateTimeField(null=True, verbose_name="closed at")),
                        (
                            "card",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="cards.card",
                                verbose_name="card",
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                db_index=False,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="members.member",
                                verbose_name="member",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "top-up",
                        "verbose_name_plural": "top-ups",
                    },
                ),
                migrations.CreateModel(
                    name="Transaction",
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
                        ("tx_no", models.CharField(max_length=20, verbose_name="number")),
                        (
                            "type",
                            models.CharField(
                                choices=[
                                    ("payment", "payment"),
                                    ("refund", "refund"),
                                    ("recharge", "top-up"),
                                    ("adjustment", "adjustment"),
                                    ("cash_out", "cash-out"),
                                ],
                                max_length=12,
                                verbose_name="type",
                            ),
                        ),
                        (
                            "status",
                            models.CharField(
                                choices=[
                                    ("pending", "pending"),
                                    ("completed", "completed"),
                                    ("failed", "failed"),
                                    ("refunded", "refunded"),
                                    ("cancelled", "cancelled"),
                                ],
                                max_length=12,
                                verbose_name="status",
                            ),
                        ),
                        (
                            "failure_code",
                            models.CharField(
                                blank=True, default="", max_length=60, verbose_name="failure"
                            ),
                        ),
                        ("card_no", models.CharField(max_length=14, verbose_name="card")),
                        ("currency", models.CharField(max_length=3, verbose_name="currency")),
                        (
                            "amount",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="amount"
                            ),
                        ),
                        (
                            "discount_rate",
                            models.DecimalField(
                                decimal_places=4,
                                default=Decimal("1"),
                                max_digits=5,
                                verbose_name="discount rate",
                            ),
                        ),
                        (
                            "discount_amount",
                            models.DecimalField(
                                decimal_places=2,
                                default=Decimal("0"),
                                max_digits=14,
                                verbose_name="discount",
                            ),
                        ),
                        (
                            "final_amount",
                            models.DecimalField(
                                decimal_places=2, max_digits=14, verbose_name="final amount"
                            ),
                        ),
                        ("points", models.IntegerField(default=0, verbose_name="points")),
                        (
                            "fee",
                            models.DecimalField(
                                decimal_places=2,
                                default=Decimal("0"),
                                max_digits=14,
                                verbose_name="fee",
                            ),
                        ),
                        (
                            "tier",
                            models.CharField(
                                blank=True, default="", max_length=20, verbose_name="tier"
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
                            "payment_method",
                            models.CharField(
                                blank=True, default="", max_length=20, verbose_name="payment method"
                            ),
                        ),
                        (
                            "external_order_id",
                            models.CharField(
                                blank=True, default="", max_length=64, verbose_name="order"
                            ),
                        ),
                        (
                            "credited_to",
                            models.CharField(
                                blank=True, default="", max_length=10, verbose_name="credited to"
                            ),
                        ),
                        (
                            "reason",
                            models.CharField(
                                blank=True, default="", max_length=200, verbose_name="reason"
                            ),
                        ),
                        ("tag", models.JSONField(blank=True, default=dict, verbose_name="tag")),
                        (
                            "refunded_total",
                            models.DecimalField(
                                decimal_places=2,
                                default=Decimal("0"),
                                max_digits=14,
                                verbose_name="refunded",
                            ),
                        ),
                        (
                            "refunded_points",
                            models.IntegerField(default=0, verbose_name="points taken back"),
                        ),
                        (
                            "refunded_fee",
                            models.DecimalField(
                                decimal_places=2,
                                default=Decimal("0"),
                                max_digits=14,
                                verbose_name="fee given back",
                            ),
                        ),
                        ("created_at", models.DateTimeField(verbose_name="created at")),
                        (
                            "card",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="cards.card",
                            ),
                        ),
                        (
                            "member",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="members.member",
                            ),
                        ),
                        (
                            "merchant",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="merchants.merchant",
                            ),
                        ),
                        (
                            "original",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="refunds",
                                to="payments.transaction",
                            ),
                        ),
                        (
                            "terminal",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="merchants.terminal",
                            ),
                        ),
                        (
                            "voucher_card",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                null=True,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="cards.card",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "transaction",
                        "verbose_name_plural": "transactions",
                    },
                ),
            ],
        ),
    ]
