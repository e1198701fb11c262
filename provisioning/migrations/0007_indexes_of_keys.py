import django.core.serializers.json
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0006_search'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='account',
            name='account_user_name_once',
        ),
        migrations.RemoveIndex(
            model_name='account',
            name='account_page',
        ),
        migrations.RemoveIndex(
            model_name='account',
            name='account_by_change',
        ),
        migrations.RemoveIndex(
            model_name='identity',
            name='identity_email',
        ),
        migrations.RemoveIndex(
            model_name='tombstone',
            name='tombstone_external_id',
        ),
        migrations.RemoveIndex(
            model_name='tombstone',
            name='tombstone_user_name',
        ),
        migrations.RemoveIndex(
            model_name='tombstone',
            name='tombstone_subject',
        ),
        migrations.AlterField(
            model_name='account',
            name='asserted_key',
            field=models.CharField(blank=True, db_collation='C', max_length=512, null=True),
        ),
        migrations.AlterField(
            model_name='account',
            name='tenant',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant'),
        ),
        migrations.AlterField(
            model_name='identity',
            name='login_name',
            field=models.CharField(blank=True, max_length=150, null=True),
        ),
        migrations.AlterField(
            model_name='membership',
            name='tenant',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='provisioning.tenant'),
        ),
        migrations.AlterField(
            model_name='reconciliationitem',
            name='inverse',
            field=models.JSONField(default=list, encoder=django.core.serializers.json.DjangoJSONEncoder),
        ),
        migrations.AlterField(
            model_name='reconciliationitem',
            name='plan',
            field=models.JSONField(default=list, encoder=django.core.serializers.json.DjangoJSONEncoder),
        ),
        migrations.AddIndex(
            model_name='account',
            index=models.Index(models.F('tenant'), models.F('connection'), models.Func(models.F('id'), function='uuid_send'), condition=models.Q(('deleted_at__isnull', True)), name='account_page'),
        ),
        migrations.AddIndex(
            model_name='account',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['tenant', 'connection', 'user_name_key', 'id'], name='account_by_name'),
        ),
        migrations.AddIndex(
            model_name='account',
            index=models.Index(fields=['tenant', 'connection', 'updated_at', 'id'], name='account_by_change'),
        ),
        migrations.AddIndex(
            model_name='identity',
            index=models.Index(fields=['email_key', 'tenant'], name='identity_email'),
        ),
        migrations.AddIndex(
            model_name='tombstone',
            index=models.Index(fields=['external_id_digest'], name='tombstone_external_id'),
        ),
        migrations.AddIndex(
            model_name='tombstone',
            index=models.Index(fields=['user_name_digest'], name='tombstone_user_name'),
        ),
        migrations.AddIndex(
            model_name='tombstone',
            index=models.Index(fields=['subject_digest'], name='tombstone_subject'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.UniqueConstraint(condition=models.Q(('deleted_at__isnull', True)), fields=('user_name_key', 'connection'), name='account_user_name_once'),
        ),
        migrations.AddConstraint(
            model_name='identity',
            constraint=models.UniqueConstraint(fields=('login_name',), name='identity_login_name_once'),
        ),
    ]
