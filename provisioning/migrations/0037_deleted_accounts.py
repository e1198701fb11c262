from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0036_audit_of_what_came'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='account',
            index=models.Index(condition=models.Q(('deleted_at__isnull', False)), fields=['tenant'], name='account_deleted'),
        ),
    ]
