
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0033_overdue'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(condition=models.Q(('status', 'obsolete'), _negated=True), fields=['identity'], name='finding_about'),
        ),
    ]
