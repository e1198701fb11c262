from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0009_keys_first'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='idp_initiated',
            field=models.BooleanField(default=False, verbose_name='logins that begin at the IdP'),
        ),
    ]
