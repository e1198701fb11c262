from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0008_plain_email_keys'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='account',
            name='account_external_id_once',
        ),
        migrations.RemoveConstraint(
            model_name='account',
            name='account_subject_once',
        ),
        migrations.RemoveIndex(
            model_name='account',
            name='account_asserted_key',
        ),
        migrations.AddIndex(
            model_name='account',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True), ('external_id__isnull', False)), fields=['tenant', 'connection', 'external_id'], name='account_by_external_id'),
        ),
        migrations.AddIndex(
            model_name='account',
            index=models.Index(condition=models.Q(('asserted_key__isnull', False), ('deleted_at__isnull', True)), fields=['asserted_key', 'connection'], name='account_asserted_key'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.UniqueConstraint(condition=models.Q(('deleted_at__isnull', True), ('external_id__isnull', False)), fields=('external_id', 'connection'), name='account_external_id_once'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.UniqueConstraint(condition=models.Q(('deleted_at__isnull', True), models.Q(('subject_value', ''), _negated=True)), fields=('subject_value', 'subject_issuer', 'connection'), name='account_subject_once'),
        ),
    ]
