from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0042_overrides'),
    ]

    operations = [
        migrations.AddField(
            model_name='account',
            name='user_name_skeleton',
            field=models.CharField(blank=True, db_collation='C', db_default='', default='', editable=False, max_length=512),
        ),
        migrations.AddIndex(
            model_name='account',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True), models.Q(('user_name_skeleton', ''), _negated=True)), fields=['user_name_skeleton'], name='account_looks_like'),
        ),
    ]
