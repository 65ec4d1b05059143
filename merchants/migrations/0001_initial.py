import uuid
from decimal import Decimal

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("core", "0001_initial"),
        ("ledger", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Merchant",
            fields=[
                (
                    "limit_per_payment",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        max_digits=14,
                        null=True,
                        verbose_name="limit per payment",
                    ),
                ),
                (
                    "limit_per_day",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        max_digits=14,
                        null=True,
                        verbose_name="limit per day",
                    ),
                ),
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("code", models.CharField(max_length=32, unique=True, verbose_name="code")),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                ("contact", models.CharField(blank=True, max_length=200, verbose_name="contact")),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "active"), ("suspended", "suspended")],
                        default="active",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                (
                    "status_reason",
                    models.CharField(
                        blank=True, max_length=200, verbose_name="reason of the status"
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(
                        default="Asia/Taipei", max_length=64, verbose_name="time zone"
                    ),
                ),
                (
                    "settlement_mode",
                    models.CharField(
                        choices=[
                            ("realtime", "real time"),
                            ("t_plus_1", "next day"),
                            ("monthly", "monthly"),
                        ],
                        default="t_plus_1",
                        max_length=10,
                        verbose_name="settlement mode",
                    ),
                ),
                (
                    "fee_rate",
                    models.DecimalField(
                        decimal_places=4,
                        default=Decimal("0"),
                        help_text="0.02 takes 2 % of each payment.",
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("1")),
                        ],
                        verbose_name="fee rate",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="created at",
                    ),
                ),
                (
                    "account",
                    models.OneToOneField(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.account",
                        verbose_name="ledger account",
                    ),
                ),
            ],
            options={
                "verbose_name": "merchant",
                "verbose_name_plural": "merchants",
            },
        ),
        migrations.CreateModel(
            name="MerchantUser",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[("manager", "manager"), ("clerk", "clerk")],
                        default="clerk",
                        max_length=10,
                        verbose_name="role",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="created at",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="users",
                        to="merchants.merchant",
                        verbose_name="merchant",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="merchant_roles",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "merchant user",
                "verbose_name_plural": "merchant users",
            },
        ),
        migrations.CreateModel(
            name="Terminal",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                (
                    "can_top_up",
                    models.BooleanField(default=False, verbose_name="may take cash top-ups"),
                ),
                (
                    "can_manage_webhooks",
                    models.BooleanField(default=False, verbose_name="may manage webhook endpoints"),
                ),
                (
                    "require_signature",
                    models.BooleanField(default=False, verbose_name="must sign its requests"),
                ),
                (
                    "guessed_at",
                    models.DateTimeField(
                        editable=False, null=True, verbose_name="guessed a code at"
                    ),
                ),
                (
                    "revoked_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="revoked at"),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="created at",
                    ),
                ),
                (
                    "merchant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="terminals",
                        to="merchants.merchant",
                        verbose_name="merchant",
                    ),
                ),
            ],
            options={
                "verbose_name": "terminal",
                "verbose_name_plural": "terminals",
            },
        ),
        migrations.CreateModel(
            name="TerminalKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("secret_hash", models.BinaryField(max_length=32)),
                ("sealed_signing_key", models.BinaryField(max_length=32)),
                ("sealed_by", models.CharField(max_length=20)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="made at",
                    ),
                ),
                (
                    "expires_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="expires at"),
                ),
                (
                    "revoked_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="revoked at"),
                ),
                (
                    "terminal",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="keys",
                        to="merchants.terminal",
                        verbose_name="terminal",
                    ),
                ),
            ],
            options={
                "verbose_name": "terminal key",
                "verbose_name_plural": "terminal keys",
            },
        ),
        migrations.AddConstraint(
            model_name="merchant",
            constraint=models.CheckConstraint(
                condition=models.Q(("code__regex", "^[A-Z0-9][A-Z0-9_-]{0,31}$")),
                name="merchants_merchant_code_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="merchant",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "suspended"])),
                name="merchants_merchant_status_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="merchant",
            constraint=models.CheckConstraint(
                condition=models.Q(("settlement_mode__in", ["realtime", "t_plus_1", "monthly"])),
                name="merchants_merchant_settlement_mode_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="merchant",
            constraint=models.CheckConstraint(
                condition=models.Q(("fee_rate__gte", 0), ("fee_rate__lte", 1)),
                name="merchants_merchant_fee_rate_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="merchantuser",
            constraint=models.UniqueConstraint(
                fields=("merchant", "user"), name="merchants_user_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="merchantuser",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", ["manager", "clerk"])),
                name="merchants_user_role_valid",
            ),
        ),
        RunSQLFile(
            "merchants",
            "0001_initial",
            state_operations=[
                migrations.CreateModel(
                    name="WebhookEndpoint",
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
                        ("url", models.CharField(max_length=500, verbose_name="address")),
                        (
                            "description",
                            models.CharField(
                                blank=True, default="", max_length=200, verbose_name="description"
                            ),
                        ),
                        (
                            "events",
                            django.contrib.postgres.fields.ArrayField(
                                base_field=models.TextField(),
                                blank=True,
                                default=list,
                                size=None,
                                verbose_name="types of events",
                            ),
                        ),
                        ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                        (
                            "disabled_reason",
                            models.CharField(
                                blank=True, default="", max_length=200, verbose_name="why disabled"
                            ),
                        ),
                        (
                            "secret_version",
                            models.PositiveIntegerField(
                                default=1, verbose_name="number of the secret"
                            ),
                        ),
                        ("secret_key_id", models.CharField(max_length=20)),
                        ("old_secret_version", models.PositiveIntegerField(null=True)),
                        (
                            "old_secret_key_id",
                            models.CharField(blank=True, default="", max_length=20),
                        ),
                        (
                            "old_secret_until",
                            models.DateTimeField(null=True, verbose_name="old secret signs until"),
                        ),
                        (
                            "failing_since",
                            models.DateTimeField(null=True, verbose_name="failing since"),
                        ),
                        (
                            "created_at",
                            models.DateTimeField(
                                db_default=mps.base.core.database.DatabaseNow(),
                                editable=False,
                                verbose_name="created at",
                            ),
                        ),
                        ("deleted_at", models.DateTimeField(null=True, verbose_name="removed at")),
                        (
                            "merchant",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="webhook_endpoints",
                                to="merchants.merchant",
                                verbose_name="merchant",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "webhook endpoint",
                        "verbose_name_plural": "webhook endpoints",
                    },
                ),
                migrations.CreateModel(
                    name="WebhookEvent",
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
                            "type",
                            models.CharField(
                                choices=[
                                    ("payment.completed", "payment completed"),
                                    ("payment.failed", "payment failed"),
                                    ("refund.completed", "refund completed"),
                                    ("settlement.generated", "settlement generated"),
                                    ("settlement.paid", "settlement paid"),
                                    ("ping", "test"),
                                ],
                                max_length=40,
                                verbose_name="type",
                            ),
                        ),
                        ("payload", models.JSONField(verbose_name="data")),
                        (
                            "created_at",
                            models.DateTimeField(
                                db_default=mps.base.core.database.DatabaseNow(),
                                editable=False,
                                verbose_name="happened at",
                            ),
                        ),
                        (
                            "merchant",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="webhook_events",
                                to="merchants.merchant",
                                verbose_name="merchant",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "webhook event",
                        "verbose_name_plural": "webhook events",
                    },
                ),
                migrations.CreateModel(
                    name="WebhookDelivery",
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
                            "state",
                            models.CharField(
                                choices=[
                                    ("pending", "pending"),
                                    ("delivered", "delivered"),
                                    ("failed", "failed"),
                                ],
                                default="pending",
                                max_length=10,
                                verbose_name="state",
                            ),
                        ),
                        (
                            "attempts",
                            models.PositiveIntegerField(default=0, verbose_name="attempts"),
                        ),
                        (
                            "next_attempt_at",
                            models.DateTimeField(
                                db_default=mps.base.core.database.DatabaseNow(),
                                verbose_name="next attempt at",
                            ),
                        ),
                        ("give_up_at", models.DateTimeField(verbose_name="given up at")),
                        (
                            "last_attempt_at",
                            models.DateTimeField(null=True, verbose_name="last attempt at"),
                        ),
                        (
                            "last_status",
                            models.PositiveSmallIntegerField(null=True, verbose_name="last answer"),
                        ),
                        (
                            "last_error",
                            models.CharField(
                                blank=True,
                                default="",
                                max_length=100,
                                verbose_name="what went wrong",
                            ),
                        ),
                        (
                            "delivered_at",
                            models.DateTimeField(null=True, verbose_name="delivered at"),
                        ),
                        (
                            "created_at",
                            models.DateTimeField(
                                db_default=mps.base.core.database.DatabaseNow(),
                                editable=False,
                                verbose_name="created at",
                            ),
                        ),
                        (
                            "endpoint",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="deliveries",
                                to="merchants.webhookendpoint",
                                verbose_name="endpoint",
                            ),
                        ),
                        (
                            "event",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="deliveries",
                                to="merchants.webhookevent",
                                verbose_name="event",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "webhook delivery",
                        "verbose_name_plural": "webhook deliveries",
                    },
                ),
            ],
        ),
    ]
