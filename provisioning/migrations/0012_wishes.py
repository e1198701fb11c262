import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0011_session_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='authn_contexts',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=256), blank=True, default=list, size=None),
        ),
        migrations.AddField(
            model_name='connection',
            name='force_authn',
            field=models.BooleanField(default=False, verbose_name='signs in anew each time'),
        ),
        migrations.AddField(
            model_name='connection',
            name='name_id_format',
            field=models.CharField(blank=True, max_length=256),
        ),
    ]
