from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0017_jit_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='jit_approval',
            field=models.BooleanField(default=False),
        ),
    ]
