from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [
        ("watch", "0001_initial"),
        ("core", "0002_jobs"),
        ("audit", "0001_initial"),
        ("cards", "0002_sql"),
        ("payments", "0001_initial"),
        ("settlements", "0001_initial"),
    ]
    operations = [RunSQLFile("watch", "0002")]
