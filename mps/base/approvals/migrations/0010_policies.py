from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0001_initial"),
    ]

    operations = [RunSQLFile("approvals", "policies")]
