
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0027_counted_by_index'),
    ]

    operations = [
        migrations.AddField(
            model_name='roster',
            name='layout',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='roster',
            name='shrinking_accepted',
            field=models.CharField(blank=True, max_length=500),
        ),
    ]
