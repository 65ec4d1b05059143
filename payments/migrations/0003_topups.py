import django.db.models.deletion
from django.db import migrations, models

import mps.base.core.database
from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("cards", "0003_tiers"),
        ("members", "0002_sql"),
        ("payments", "0001_initial"),
    ]

    operations = [
        RunSQLFile(
            "payments",
            "0003",
            state_operations=[
                migrations.CreateModel(
                    name='SandboxOrder',
                    fields=[
                        ('order_id', models.CharField(max_length=40, primary_key=True, serialize=False)),
                        ('amount', models.DecimalField(decimal_places=2, max_digits=14)),
                        ('currency', models.CharField(max_length=3)),
                        ('return_path', models.CharField(max_length=200)),
                        ('status', models.CharField(choices=[('open', 'open'), ('paid', 'paid'), ('cancelled', 'cancelled')], db_default='open', max_length=12)),
                        ('payment_id', models.CharField(db_default='', max_length=64)),
                        ('created_at', models.DateTimeField(db_default=mps.base.core.database.DatabaseNow())),
                        ('expires_at', models.DateTimeField()),
                        ('decided_at', models.DateTimeField(null=True)),
                    ],
                ),
                migrations.CreateModel(
                    name='TopUp',
                    fields=[
                        ('id', models.UUIDField(db_default=mps.base.core.database.NewId(), editable=False, primary_key=True, serialize=False)),
                        ('order_id', models.CharField(max_length=40, verbose_name='order')),
                        ('provider', models.CharField(max_length=20, verbose_name='provider')),
                        ('amount', models.DecimalField(decimal_places=2, max_digits=14, verbose_name='amount')),
                        ('currency', models.CharField(max_length=3, verbose_name='currency')),
                        ('idempotency_key', models.CharField(editable=False, max_length=255)),
                        ('request_hash', models.BinaryField(max_length=32)),
                        ('status', models.CharField(choices=[('pending', 'pending'), ('completed', 'completed'), ('failed', 'failed'), ('expired', 'expired'), ('cancelled', 'cancelled')], db_default='pending', max_length=12, verbose_name='status')),
                        ('failure_code', models.CharField(blank=True, db_default='', max_length=60, verbose_name='failure')),
                        ('reference', models.CharField(blank=True, db_default='', max_length=255, verbose_name="provider's order")),
                        ('pay_url', models.CharField(blank=True, db_default='', editable=False, max_length=4000)),
                        ('payment_id', models.CharField(blank=True, db_default='', max_length=64, verbose_name="provider's payment")),
                        ('paid_amount', models.DecimalField(decimal_places=2, max_digits=14, null=True, verbose_name='paid')),
                        ('paid_currency', models.CharField(blank=True, db_default='', max_length=3, verbose_name='paid in')),
                        ('paid_at', models.DateTimeField(null=True, verbose_name='paid at')),
                        ('late', models.BooleanField(db_default=False, verbose_name='late')),
                        ('tx_id', models.UUIDField(editable=False, null=True, unique=True)),
                        ('created_at', models.DateTimeField(db_default=mps.base.core.database.DatabaseNow(), editable=False, verbose_name='created at')),
                        ('expires_at', models.DateTimeField(verbose_name='expires at')),
                        ('closed_at', models.DateTimeField(null=True, verbose_name='closed at')),
                        ('card', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='cards.card', verbose_name='card')),
                        ('member', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='members.member', verbose_name='member')),
                    ],
                    options={
                        'verbose_name': 'top-up',
                        'verbose_name_plural': 'top-ups',
                    },
                ),
            ],
        ),
    ]
