import django.db.models.deletion
import identity_hub.core.clock
import identity_hub.core.ids
import provisioning.models.base
from django.conf import settings
from django.db import migrations, models

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0023_rosters'),
    ]

    operations = [
        migrations.CreateModel(
            name='Distinction',
            fields=[
                ('id', models.UUIDField(default=identity_hub.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('decided_at', models.DateTimeField(default=identity_hub.core.clock.now)),
                ('decided_by', models.CharField(max_length=100)),
                ('finding_id', models.UUIDField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name='connection',
            name='dormant_days',
            field=models.PositiveIntegerField(default=180),
        ),
        migrations.AddField(
            model_name='connection',
            name='stale_push_days',
            field=models.PositiveIntegerField(default=30),
        ),
        migrations.AddField(
            model_name='finding',
            name='due_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='finding',
            name='owner',
            field=provisioning.models.base.TenantForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='findings_owned', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='finding',
            name='seen_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='identity',
            name='owner',
            field=provisioning.models.base.TenantForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='scimclient',
            name='owner',
            field=provisioning.models.base.TenantForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='scimtoken',
            name='owner',
            field=provisioning.models.base.TenantForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='finding',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['identity'], name='finding_identity'),
        ),
        migrations.AddConstraint(
            model_name='finding',
            constraint=models.UniqueConstraint(fields=('tenant', 'id'), name='finding_tenant_id'),
        ),
        migrations.AddField(
            model_name='distinction',
            name='one',
            field=provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='distinction',
            name='other',
            field=provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='distinction',
            name='tenant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant'),
        ),
        migrations.AddIndex(
            model_name='distinction',
            index=models.Index(fields=['other'], name='distinction_other'),
        ),
        migrations.AddConstraint(
            model_name='distinction',
            constraint=models.UniqueConstraint(fields=('one', 'other'), name='distinction_once'),
        ),
        migrations.AddConstraint(
            model_name='distinction',
            constraint=models.CheckConstraint(condition=models.Q(('one__lt', models.F('other'))), name='distinction_in_order'),
        ),
        AddTenantForeignKeys("Distinction"),
        AddTenantForeignKeys("Finding", only=("owner",)),
        AddTenantForeignKeys("Identity", only=("owner",)),
        AddTenantForeignKeys("ScimClient", only=("owner",)),
        AddTenantForeignKeys("ScimToken", only=("owner",)),
    ]
