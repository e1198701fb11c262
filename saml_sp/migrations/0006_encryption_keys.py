import django.db.models.deletion
import identity_hub.core.clock
import identity_hub.core.ids
import provisioning.models.base
from django.db import migrations, models

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0015_attribute_rules'),
        ('saml_sp', '0005_message_of_attempt'),
    ]

    operations = [
        migrations.CreateModel(
            name='EncryptionKey',
            fields=[
                ('id', models.UUIDField(default=identity_hub.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveSmallIntegerField()),
                ('certificate', models.TextField()),
                ('sealed', models.TextField()),
                ('created_at', models.DateTimeField(default=identity_hub.core.clock.now)),
                ('ended_at', models.DateTimeField(null=True)),
                ('connection', provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='provisioning.connection')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant')),
            ],
            options={
                'ordering': ['-number'],
                'constraints': [models.UniqueConstraint(fields=('tenant', 'connection', 'number'), name='encryption_key_number')],
            },
        ),
        AddTenantForeignKeys("EncryptionKey"),
    ]
