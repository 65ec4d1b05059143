from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("merchants", "0001_initial"), ("core", "0001_initial")]
    operations = [RunSQLFile("merchants", "0002")]
