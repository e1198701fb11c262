import django.core.serializers.json
import django.db.models.deletion
import identity_hub.core.ids
import provisioning.models.base
from django.conf import settings
from django.db import migrations, models

from provisioning.constraints import AddTenantForeignKeys


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0028_roster_layout'),
    ]

    operations = [
        migrations.CreateModel(
            name='Merge',
            fields=[
                ('id', models.UUIDField(default=identity_hub.core.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('moved', models.JSONField(default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder)),
                ('merged_at', models.DateTimeField()),
                ('merged_by', models.CharField(max_length=100)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('unmerged_at', models.DateTimeField(blank=True, null=True)),
                ('unmerged_by', models.CharField(blank=True, max_length=100)),
                ('unmerge_reason', models.CharField(blank=True, max_length=500)),
                ('kept', models.JSONField(blank=True, default=dict)),
            ],
            options={
                'ordering': ['-merged_at'],
            },
        ),
        migrations.AddField(
            model_name='identity',
            name='merged_into',
            field=provisioning.models.base.TenantForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='identity',
            index=models.Index(condition=models.Q(('merged_into__isnull', False)), fields=['merged_into'], name='identity_merged_into'),
        ),
        migrations.AddField(
            model_name='merge',
            name='loser',
            field=provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='merge',
            name='tenant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant'),
        ),
        migrations.AddField(
            model_name='merge',
            name='winner',
            field=provisioning.models.base.TenantForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='merges', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddIndex(
            model_name='merge',
            index=models.Index(fields=['winner'], name='merge_winner'),
        ),
        migrations.AddIndex(
            model_name='merge',
            index=models.Index(fields=['loser'], name='merge_loser'),
        ),
        migrations.AddConstraint(
            model_name='merge',
            constraint=models.UniqueConstraint(condition=models.Q(('unmerged_at__isnull', True)), fields=('loser',), name='merge_of_loser_once'),
        ),
        migrations.AddConstraint(
            model_name='merge',
            constraint=models.CheckConstraint(condition=models.Q(('winner', models.F('loser')), _negated=True), name='merge_of_two'),
        ),
        AddTenantForeignKeys("Identity", only=("merged_into",)),
        AddTenantForeignKeys("Merge"),
    ]
