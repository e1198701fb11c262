from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0037_deleted_accounts'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='first_push_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        # When the first one came nobody knows; nobody's grace ends earlier for that.
        migrations.RunSQL(
            'UPDATE provisioning_connection SET first_push_at = last_push_at',
            migrations.RunSQL.noop,
        ),
    ]
