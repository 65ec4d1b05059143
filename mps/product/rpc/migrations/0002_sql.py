from django.db import migrations

from mps.base.core.database import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("rpc", "0001_initial"), ("core", "0001_initial")]
    operations = [RunSQLFile("rpc", "0002")]
