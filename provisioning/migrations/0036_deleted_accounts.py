from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0035_audit_of_members'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='account',
            index=models.Index(condition=models.Q(('deleted_at__isnull', False)), fields=['tenant'], name='account_deleted'),
        ),
    ]
