from django.db import migrations, models

import provisioning.models.tenancy


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0015_attribute_rules'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenantdomain',
            name='challenge',
            field=models.CharField(default=provisioning.models.tenancy.new_challenge, editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name='tenantdomain',
            name='checked_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='tenantdomain',
            name='record_seen_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
        # A default is made once and given to all: each domain needs a secret of its own.
        migrations.RunSQL(
            "UPDATE provisioning_tenantdomain SET challenge = replace(gen_random_uuid()::text, '-', '')",
            migrations.RunSQL.noop,
        ),
    ]
