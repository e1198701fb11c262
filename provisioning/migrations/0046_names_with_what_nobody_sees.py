from django.db import migrations

from provisioning.decision.keys import other_skeleton


def fill(apps, schema_editor):
    """Row by row, so that nobody waits for it; after a stop it may begin anew."""
    accounts = apps.get_model('provisioning', 'Account').objects
    # Of a name in ASCII the skeleton is the folded name itself.
    named = accounts.filter(user_name_key__regex=r'[^\x01-\x7f]').order_by()
    columns = named.values_list('id', 'user_name', 'user_name_skeleton')
    for account_id, name, kept in columns.iterator(chunk_size=2000):
        if (skeleton := other_skeleton(name)) != kept:
            # Unless it was renamed meanwhile, by whoever knows how skeletons are made.
            accounts.filter(pk=account_id, user_name=name).update(user_name_skeleton=skeleton)


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('provisioning', '0045_made_by_login'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
