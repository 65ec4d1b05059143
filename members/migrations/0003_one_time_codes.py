import uuid

import django.db.models.deletion
from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("members", "0002_sql")]
    operations = [
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
                "indexes": [
                    models.Index(
                        fields=["destination", "purpose"], name="members_code_destination"
                    ),
                    models.Index(fields=["expires_at"], name="members_code_expires"),
                ],
            },
        ),
        RunSQLFile("members", "0003"),
    ]
