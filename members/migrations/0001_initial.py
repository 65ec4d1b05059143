import uuid

import django.db.models.deletion
import django.db.models.functions.text
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
        migrations.CreateModel(
            name="Member",
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
                    models.CharField(max_length=12, unique=True, verbose_name="member number"),
                ),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                (
                    "phone",
                    models.CharField(
                        blank=True, max_length=20, null=True, unique=True, verbose_name="phone"
                    ),
                ),
                (
                    "email",
                    models.EmailField(
                        blank=True, max_length=254, null=True, unique=True, verbose_name="e-mail"
                    ),
                ),
                (
                    "phone_verified_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="phone verified at"),
                ),
                (
                    "email_verified_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="e-mail verified at"),
                ),
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
                    "erased_at",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="erased at"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="registered at",
                    ),
                ),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="member",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "member",
                "verbose_name_plural": "members",
            },
        ),
        migrations.CreateModel(
            name="Pin",
            fields=[
                (
                    "member",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="pin",
                        serialize=False,
                        to="members.member",
                        verbose_name="member",
                    ),
                ),
                ("pin_hash", models.CharField(max_length=128)),
                (
                    "set_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="set at",
                    ),
                ),
            ],
            options={
                "verbose_name": "PIN",
                "verbose_name_plural": "PINs",
            },
        ),
        migrations.CreateModel(
            name="ExternalIdentity",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("provider", models.CharField(max_length=30, verbose_name="provider")),
                ("external_id", models.CharField(max_length=128, verbose_name="external id")),
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
                        related_name="identities",
                        to="members.member",
                        verbose_name="member",
                    ),
                ),
            ],
            options={
                "verbose_name": "external identity",
                "verbose_name_plural": "external identities",
            },
        ),
        migrations.CreateModel(
            name="MemberToken",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("secret_hash", models.BinaryField(max_length=32)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="made at",
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="expires at")),
                (
                    "revoked_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="revoked at"),
                ),
                (
                    "address",
                    models.CharField(blank=True, default="", max_length=45, verbose_name="address"),
                ),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tokens",
                        to="members.member",
                        verbose_name="member",
                    ),
                ),
            ],
            options={
                "verbose_name": "member token",
                "verbose_name_plural": "member tokens",
            },
        ),
        migrations.CreateModel(
            name="OneTimeCode",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "purpose",
                    models.CharField(
                        choices=[
                            ("sign_in", "sign in"),
                            ("verify", "verify"),
                            ("reset", "reset the password"),
                        ],
                        max_length=10,
                        verbose_name="purpose",
                    ),
                ),
                ("destination", models.CharField(max_length=254, verbose_name="destination")),
                ("nonce", models.BinaryField(max_length=32)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=mps.base.core.database.DatabaseNow(),
                        editable=False,
                        verbose_name="made at",
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="expires at")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended at")),
                ("tries", models.SmallIntegerField(default=0, verbose_name="tries")),
                (
                    "member",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="members.member",
                        verbose_name="member",
                    ),
                ),
            ],
            options={
                "verbose_name": "one-time code",
                "verbose_name_plural": "one-time codes",
            },
        ),
        migrations.AddConstraint(
            model_name="member",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__regex", "^M[0-9]{8,}$")),
                name="members_member_number_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="member",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "suspended"])),
                name="members_member_status_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="member",
            constraint=models.CheckConstraint(
                condition=models.Q(("erased_at", None), ("status", "suspended"), _connector="OR"),
                name="members_member_erased_stays_suspended",
            ),
        ),
        migrations.AddConstraint(
            model_name="member",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("email", None),
                    ("email", django.db.models.functions.text.Lower("email")),
                    _connector="OR",
                ),
                name="members_member_email_lower",
            ),
        ),
        migrations.AddConstraint(
            model_name="externalidentity",
            constraint=models.UniqueConstraint(
                fields=("provider", "external_id"), name="members_identity_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="externalidentity",
            constraint=models.UniqueConstraint(
                fields=("member", "provider"), name="members_identity_one_per_provider"
            ),
        ),
        migrations.AddIndex(
            model_name="onetimecode",
            index=models.Index(fields=["destination", "purpose"], name="members_code_destination"),
        ),
        migrations.AddIndex(
            model_name="onetimecode",
            index=models.Index(fields=["expires_at"], name="members_code_expires"),
        ),
        RunSQLFile("members", "0001_initial"),
    ]
