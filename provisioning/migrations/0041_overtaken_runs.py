from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0040_findings_parts'),
    ]

    operations = [
        migrations.AlterField(
            model_name='reconciliationrun',
            name='status',
            field=models.CharField(choices=[('simulating', 'Simulating'), ('simulated', 'Simulated'), ('quarantined', 'In quarantine'), ('executing', 'Executing'), ('done', 'Done'), ('failed', 'Failed'), ('rejected', 'Rejected'), ('cancelled', 'Cancelled'), ('overtaken', 'Overtaken')], default='simulating', max_length=16),
        ),
    ]
