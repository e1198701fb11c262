from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('saml_sp', '0002_verdicts'),
    ]

    operations = [
        migrations.AddField(
            model_name='loginattempt',
            name='audit_id',
            field=models.BigIntegerField(null=True),
        ),
    ]
