import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0010_idp_initiated'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='session_hours',
            field=models.PositiveIntegerField(default=12, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(744)]),
        ),
        migrations.AddField(
            model_name='connection',
            name='session_idle_minutes',
            field=models.PositiveIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(44640)]),
        ),
    ]
