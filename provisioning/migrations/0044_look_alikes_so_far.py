from django.db import migrations

from provisioning.decision.keys import other_skeleton


def fill(apps, schema_editor):
    """Row by row, so that nobody waits for it; after a stop it may begin anew."""
    accounts = apps.get_model('provisioning', 'Account').objects
    # Of a name in ASCII the skeleton is the folded name itself.
    named = accounts.filter(user_name_key__regex=r'[^\x01-\x7f]').order_by().values_list('id', 'user_name')
    for account_id, name in named.iterator(chunk_size=2000):
        if skeleton := other_skeleton(name):
            # Unless it was renamed meanwhile, by whoever knows the column.
            accounts.filter(pk=account_id, user_name=name).update(user_name_skeleton=skeleton)


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('provisioning', '0043_look_alikes'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
