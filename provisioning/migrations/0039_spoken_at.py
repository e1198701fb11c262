from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0038_first_push'),
    ]

    operations = [
        migrations.AddField(
            model_name='account',
            name='spoken_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
