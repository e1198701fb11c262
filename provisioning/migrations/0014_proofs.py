import django.db.models.deletion
import identity_hub.core.clock
import identity_hub.core.ids
import provisioning.models.base
from django.db import migrations, models

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0013_asserted_groups'),
    ]

    operations = [
        migrations.CreateModel(
            name='Proof',
            fields=[
                ('id', models.UUIDField(default=identity_hub.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('item', models.CharField(choices=[('certificate', 'certificate'), ('domains', 'domains'), ('mapping', 'mapping'), ('key', 'key'), ('lifecycle', 'lifecycle'), ('sign-out', 'sign-out'), ('deactivation', 'deactivation')], max_length=16)),
                ('accepted', models.BooleanField(default=False)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('facts', models.JSONField(default=dict)),
                ('by', models.CharField(max_length=100)),
                ('at', models.DateTimeField(default=identity_hub.core.clock.now)),
                ('connection', provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='proofs', to='provisioning.connection')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('connection', 'item', 'accepted'), name='proof_once')],
            },
        ),
        AddTenantForeignKeys("Proof"),
    ]
