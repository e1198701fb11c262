import django.db.models.deletion
import identity_hub.core.ids
import provisioning.models.base
from django.conf import settings
from django.db import migrations, models

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0041_overtaken_runs'),
    ]

    operations = [
        migrations.CreateModel(
            name='Override',
            fields=[
                ('id', models.UUIDField(default=identity_hub.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('attribute', models.CharField(choices=[('display_name', 'display_name'), ('given_name', 'given_name'), ('family_name', 'family_name'), ('email', 'email'), ('title', 'title'), ('department', 'department')], max_length=32)),
                ('value', models.CharField(blank=True, max_length=512)),
                ('instead_of', models.CharField(blank=True, max_length=512)),
                ('reason', models.CharField(max_length=500)),
                ('until', models.DateTimeField()),
                ('set_by', models.CharField(max_length=100)),
                ('set_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('ended_by', models.CharField(blank=True, max_length=100)),
                ('identity', provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='overrides', to=settings.AUTH_USER_MODEL)),
                ('tenant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant')),
            ],
            options={
                'ordering': ['-set_at'],
                'indexes': [models.Index(fields=['identity'], name='override_identity'), models.Index(condition=models.Q(('ended_at__isnull', True)), fields=['until'], name='override_due')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at__isnull', True)), fields=('tenant', 'identity', 'attribute'), name='override_once'), models.CheckConstraint(condition=models.Q(('until__gt', models.F('set_at'))), name='override_ends'), models.CheckConstraint(condition=models.Q(models.Q(models.Q(('value', ''), _negated=True), models.Q(('reason', ''), _negated=True)), ('ended_at__isnull', False), _connector='OR'), name='override_says_something')],
            },
        ),
        AddTenantForeignKeys("Override"),
    ]
