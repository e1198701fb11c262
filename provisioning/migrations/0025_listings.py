import django.db.models.deletion
import provisioning.models.base
from django.db import migrations, models

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0024_findings'),
    ]

    operations = [
        migrations.AddField(
            model_name='account',
            name='as_of',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='reconciliationitem',
            name='row_id',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='reconciliationrun',
            name='cancel_requested_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='reconciliationrun',
            name='items_done',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='reconciliationrun',
            name='items_total',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='reconciliationrun',
            name='remaining',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='reconciliationrun',
            name='roster',
            field=provisioning.models.base.TenantForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='runs', to='provisioning.roster'),
        ),
        migrations.AddField(
            model_name='reconciliationrun',
            name='verified_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='reconciliationrun',
            name='status',
            field=models.CharField(choices=[('simulating', 'Simulating'), ('simulated', 'Simulated'), ('quarantined', 'In quarantine'), ('executing', 'Executing'), ('done', 'Done'), ('failed', 'Failed'), ('rejected', 'Rejected'), ('cancelled', 'Cancelled')], default='simulating', max_length=16),
        ),
        AddTenantForeignKeys("ReconciliationRun", only=("roster",)),
    ]
