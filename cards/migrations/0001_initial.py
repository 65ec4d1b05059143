import uuid
from decimal import Decimal

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("core", "0001_initial"),
        ("ledger", "0001_initial"),
        ("members", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Card",
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
                (
                    "number",
                    models.CharField(max_length=14, unique=True, verbose_name="card number"),
                ),
                (
                    "card_type",
                    models.CharField(
                        choices=[
                            ("STD", "standard"),
                            ("PPD", "prepaid"),
                            ("COR", "corporate"),
                            ("VCH", "voucher"),
                        ],
                        max_length=3,
                        verbose_name="type",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("active", "active"),
                            ("frozen", "frozen"),
                            ("lost", "lost"),
                            ("expired", "expired"),
                            ("suspended", "suspended"),
                            ("closed", "closed"),
                        ],
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
                    "locked_by_member",
                    models.BooleanField(default=False, verbose_name="locked by a member"),
                ),
                ("name", models.CharField(blank=True, max_length=80, verbose_name="name")),
                (
                    "fixed_discount",
                    models.DecimalField(
                        blank=True,
                        decimal_places=4,
                        help_text="0.95 makes 100.00 cost 95.00; empty: by tier.",
                        max_digits=5,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.0001")),
                            django.core.validators.MaxValueValidator(Decimal("1")),
                        ],
                        verbose_name="fixed discount",
                    ),
                ),
                (
                    "binding_password",
                    models.CharField(
                        blank=True, editable=False, max_length=128, verbose_name="binding password"
                    ),
                ),
                (
                    "expires_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="expires at"),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="issued at",
                    ),
                ),
                (
                    "money_account",
                    models.OneToOneField(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.account",
                        verbose_name="money account",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="owned_cards",
                        to="members.member",
                        verbose_name="owner",
                    ),
                ),
                (
                    "points_account",
                    models.OneToOneField(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.account",
                        verbose_name="points account",
                    ),
                ),
            ],
            options={
                "verbose_name": "card",
                "verbose_name_plural": "cards",
            },
        ),
        migrations.CreateModel(
            name="Binding",
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
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "owner"),
                            ("admin", "admin"),
                            ("member", "member"),
                            ("viewer", "viewer"),
                        ],
                        default="member",
                        max_length=10,
                        verbose_name="role",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="bound at",
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bindings",
                        to="members.member",
                        verbose_name="member",
                    ),
                ),
                (
                    "card",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bindings",
                        to="cards.card",
                        verbose_name="card",
                    ),
                ),
            ],
            options={
                "verbose_name": "binding",
                "verbose_name_plural": "bindings",
            },
        ),
        migrations.CreateModel(
            name="FormerBinding",
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
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "owner"),
                            ("admin", "admin"),
                            ("member", "member"),
                            ("viewer", "viewer"),
                        ],
                        max_length=10,
                        verbose_name="role",
                    ),
                ),
                (
                    "card",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="cards.card",
                        verbose_name="card",
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="members.member",
                        verbose_name="member",
                    ),
                ),
            ],
            options={
                "verbose_name": "former binding",
                "verbose_name_plural": "former bindings",
            },
        ),
        migrations.CreateModel(
            name="PaymentCode",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("nonce", models.BinaryField(max_length=16)),
                ("key_id", models.CharField(max_length=20, verbose_name="key")),
                ("code_hash", models.BinaryField(max_length=32, unique=True)),
                ("issued_at", models.DateTimeField(verbose_name="issued at")),
                ("expires_at", models.DateTimeField(verbose_name="expires at")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended at")),
                (
                    "outcome",
                    models.CharField(blank=True, default="", max_length=10, verbose_name="outcome"),
                ),
                (
                    "card",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="codes",
                        to="cards.card",
                        verbose_name="card",
                    ),
                ),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="codes",
                        to="members.member",
                        verbose_name="member",
                    ),
                ),
            ],
            options={
                "verbose_name": "payment code",
                "verbose_name_plural": "payment codes",
            },
        ),
        migrations.CreateModel(
            name="Tier",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(max_length=20, unique=True, verbose_name="code")),
                ("name", models.CharField(max_length=40, verbose_name="name")),
                ("level", models.PositiveSmallIntegerField(unique=True, verbose_name="level")),
                (
                    "min_points",
                    models.PositiveIntegerField(unique=True, verbose_name="from points"),
                ),
                (
                    "rate",
                    models.DecimalField(
                        decimal_places=4,
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0.0001")),
                            django.core.validators.MaxValueValidator(Decimal("1")),
                        ],
                        verbose_name="rate",
                    ),
                ),
            ],
            options={
                "verbose_name": "tier",
                "verbose_name_plural": "tiers",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("rate__gt", 0), ("rate__lte", 1)),
                        name="cards_tier_rate_valid",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Voucher",
            fields=[
                (
                    "card",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="voucher",
                        serialize=False,
                        to="cards.card",
                        verbose_name="card",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("percent", "percent off"), ("amount", "amount off")],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                (
                    "value",
                    models.DecimalField(decimal_places=2, max_digits=14, verbose_name="value"),
                ),
                (
                    "min_spend",
                    models.DecimalField(
                        decimal_places=2,
                        default=Decimal("0"),
                        max_digits=14,
                        verbose_name="minimum spend",
                    ),
                ),
                (
                    "merchant_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(),
                        blank=True,
                        default=list,
                        size=None,
                        verbose_name="merchants",
                    ),
                ),
                (
                    "used_by_tx_id",
                    models.UUIDField(blank=True, editable=False, null=True, verbose_name="used by"),
                ),
            ],
            options={
                "verbose_name": "voucher",
                "verbose_name_plural": "vouchers",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "percent"), ("value__gt", 0), ("value__lte", 100)),
                            models.Q(("kind", "amount"), ("value__gt", 0)),
                            _connector="OR",
                        ),
                        name="cards_voucher_value_valid",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("min_spend__gte", 0)),
                        name="cards_voucher_min_spend_not_negative",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="card",
            constraint=models.UniqueConstraint(
                condition=models.Q(("card_type", "STD")),
                fields=("owner",),
                name="cards_card_one_standard_per_member",
            ),
        ),
        migrations.AddConstraint(
            model_name="card",
            constraint=models.CheckConstraint(
                condition=models.Q(("card_type__in", ["STD", "PPD", "COR", "VCH"])),
                name="cards_card_type_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="card",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__regex", "^(STD|PPD|COR|VCH)[0-9]{8,}$")),
                name="cards_card_number_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="card",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status__in", ["active", "frozen", "lost", "expired", "suspended", "closed"])
                ),
                name="cards_card_status_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="card",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("fixed_discount", None),
                    models.Q(("fixed_discount__gt", 0), ("fixed_discount__lte", 1)),
                    _connector="OR",
                ),
                name="cards_card_fixed_discount_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="card",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("card_type__in", ["PPD", "COR"]), ("money_account__isnull", False)),
                    models.Q(("card_type__in", ["STD", "VCH"]), ("money_account__isnull", True)),
                    _connector="OR",
                ),
                name="cards_card_money_account_by_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="card",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("card_type__in", ["STD", "PPD"]), ("points_account__isnull", False)),
                    models.Q(("card_type__in", ["COR", "VCH"]), ("points_account__isnull", True)),
                    _connector="OR",
                ),
                name="cards_card_points_account_by_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="binding",
            constraint=models.UniqueConstraint(
                fields=("card", "member"), name="cards_binding_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="binding",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", ["owner", "admin", "member", "viewer"])),
                name="cards_binding_role_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="formerbinding",
            constraint=models.UniqueConstraint(
                fields=("card", "member"), name="cards_formerbinding_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentcode",
            constraint=models.UniqueConstraint(
                fields=("card", "member"), name="cards_paymentcode_one_per_card_and_member"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentcode",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at", None), ("outcome", "")),
                    models.Q(("ended_at__isnull", False), ("outcome__in", ["used", "revoked"])),
                    _connector="OR",
                ),
                name="cards_paymentcode_outcome_valid",
            ),
        ),
        RunSQLFile(
            "cards",
            "0001_initial",
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
                        ("outcome", models.CharField(max_length=10, verbose_name="outcome")),
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
                )
            ],
        ),
    ]
