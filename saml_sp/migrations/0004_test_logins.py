import django.db.models.deletion
import identity_hub.core.clock
import identity_hub.core.ids
import provisioning.models.base
from django.db import migrations, models

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0015_attribute_rules'),
        ('saml_sp', '0003_audit_of_attempt'),
    ]

    operations = [
        migrations.CreateModel(
            name='TestLogin',
            fields=[
                ('id', models.UUIDField(default=identity_hub.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('token_digest', models.BinaryField(unique=True)),
                ('started_by', models.CharField(max_length=100)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('asked_at', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('passed', models.BooleanField(null=True)),
                ('report', models.JSONField(default=dict)),
                ('sign_out_request_id', models.CharField(blank=True, max_length=64)),
                ('sign_out', models.JSONField(default=dict)),
                ('created_at', models.DateTimeField(default=identity_hub.core.clock.now)),
                ('expires_at', models.DateTimeField(db_index=True)),
                ('connection', provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='provisioning.connection')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        AddTenantForeignKeys("TestLogin"),
    ]
