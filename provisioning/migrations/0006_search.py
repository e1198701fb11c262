from typing import Any

from django.db import connection, migrations

from provisioning.search import search_keys

BATCH = 1000


def fill(apps: Any, schema_editor: Any) -> None:
    """What accounts are found by, of those that were there before."""
    accounts = apps.get_model("provisioning", "Account").objects.filter(search__isnull=True)
    with connection.cursor() as cursor:
        for account in accounts.only("pk", "resource").iterator(chunk_size=BATCH):
            cursor.execute(
                "UPDATE provisioning_account SET search = array_to_tsvector(%s::text[]) WHERE id = %s",
                [search_keys(account.resource), account.pk],
            )


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0005_lower")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
