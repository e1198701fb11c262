from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0018_jit_approval'),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='burst_creations',
            field=models.PositiveIntegerField(default=50),
        ),
        migrations.AddField(
            model_name='connection',
            name='burst_refusals',
            field=models.PositiveIntegerField(default=200),
        ),
        migrations.AddIndex(
            model_name='account',
            index=models.Index(condition=models.Q(('origin', 'jit')), fields=['created_at'], name='account_made_by_login'),
        ),
    ]
