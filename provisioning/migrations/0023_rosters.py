import django.contrib.postgres.fields
import django.db.models.deletion
import identity_hub.core.clock
import identity_hub.core.ids
import provisioning.models.base
from django.db import migrations, models

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0022_name_id_of_session'),
    ]

    operations = [
        migrations.AddField(
            model_name='account',
            name='fingerprint',
            field=models.BinaryField(null=True),
        ),
        migrations.CreateModel(
            name='Roster',
            fields=[
                ('id', models.UUIDField(default=identity_hub.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(blank=True, max_length=200)),
                ('source', models.CharField(choices=[('csv', 'CSV'), ('jsonl', 'JSON Lines'), ('scim', 'SCIM'), ('google', 'Google Directory'), ('graph', 'Microsoft Graph')], max_length=8)),
                ('status', models.CharField(choices=[('draft', 'Waits for its mapping'), ('loading', 'Loading'), ('complete', 'Complete'), ('refused', 'Refused'), ('superseded', 'Superseded')], default='loading', max_length=16)),
                ('as_of', models.DateTimeField()),
                ('started_at', models.DateTimeField(default=identity_hub.core.clock.now)),
                ('completed_at', models.DateTimeField(blank=True, null=True)),
                ('expected', models.PositiveIntegerField(blank=True, null=True)),
                ('row_count', models.PositiveIntegerField(default=0)),
                ('fault_count', models.PositiveIntegerField(default=0)),
                ('faults', models.JSONField(default=list)),
                ('cursor', models.JSONField(blank=True, null=True)),
                ('fields', models.JSONField(default=list)),
                ('mapping', models.JSONField(default=dict)),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('code', models.CharField(blank=True, max_length=64)),
                ('note', models.CharField(blank=True, max_length=500)),
                ('requested_by', models.CharField(max_length=100)),
                ('connection', provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rosters', to='provisioning.connection')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant')),
            ],
            options={
                'ordering': ['-started_at'],
            },
        ),
        migrations.CreateModel(
            name='RosterPart',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('number', models.PositiveIntegerField()),
                ('content', models.BinaryField()),
                ('roster', provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='provisioning.roster')),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant')),
            ],
            options={
                'ordering': ['number'],
            },
        ),
        migrations.CreateModel(
            name='RosterRow',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('tenant_id', models.UUIDField()),
                ('roster_id', models.UUIDField()),
                ('line', models.PositiveIntegerField()),
                ('user_name', models.CharField(max_length=512)),
                ('user_name_key', models.CharField(db_collation='C', max_length=512)),
                ('external_id', models.CharField(db_collation='C', max_length=512, null=True)),
                ('hr_number', models.CharField(blank=True, max_length=256)),
                ('active', models.BooleanField(default=True)),
                ('email_keys', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=600), default=list, size=None)),
                ('fingerprint', models.BinaryField()),
                ('document', models.JSONField(default=dict)),
            ],
            options={
                'indexes': [models.Index(fields=['tenant_id', 'roster_id', 'external_id'], name='rosterrow_external_id'), models.Index(fields=['tenant_id', 'roster_id', 'user_name_key'], name='rosterrow_user_name')],
            },
        ),
        migrations.AddIndex(
            model_name='roster',
            index=models.Index(fields=['connection', 'status', '-as_of'], name='roster_of_connection'),
        ),
        migrations.AddConstraint(
            model_name='roster',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='roster_tenant_id'),
        ),
        migrations.AddConstraint(
            model_name='rosterpart',
            constraint=models.UniqueConstraint(fields=('roster', 'number'), name='roster_part_once'),
        ),
        AddTenantForeignKeys("Roster"),
        AddTenantForeignKeys("RosterPart"),
    ]
