from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0046_names_with_what_nobody_sees'),
    ]

    operations = [
        migrations.AddField(
            model_name='finding',
            name='settled',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
