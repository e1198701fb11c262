import django.db.models.deletion
import identity_hub.core.clock
import identity_hub.core.ids
import provisioning.models.base
from django.db import migrations, models

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0012_wishes'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='group_attribute',
            field=models.CharField(blank=True, max_length=256),
        ),
        migrations.AddField(
            model_name='connection',
            name='groups_unconfirmed',
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name='AssertedGroup',
            fields=[
                ('id', models.UUIDField(default=identity_hub.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('value', models.CharField(max_length=512)),
                ('created_at', models.DateTimeField(default=identity_hub.core.clock.now, editable=False)),
                ('connection', provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='asserted_groups', to='provisioning.connection')),
                ('entitlement', provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='asserted_by', to='provisioning.entitlement')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant')),
            ],
            options={
                'ordering': ['value'],
                'indexes': [models.Index(fields=['entitlement'], name='assertedgroup_entitlement')],
                'constraints': [models.UniqueConstraint(fields=('connection', 'value', 'entitlement'), name='assertedgroup_once')],
            },
        ),
        AddTenantForeignKeys("AssertedGroup"),
    ]
