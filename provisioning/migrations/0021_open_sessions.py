from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('provisioning', '0020_metadata'),
    ]

    operations = [
        migrations.CreateModel(
            name='OpenSession',
            fields=[
                ('handle', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('connection_id', models.UUIDField(null=True)),
                ('user_agent', models.CharField(blank=True, max_length=256)),
                ('network', models.GenericIPAddressField(null=True)),
                ('created_at', models.DateTimeField(verbose_name='since')),
                ('seen_at', models.DateTimeField(null=True, verbose_name='last used')),
                ('ends_unused_at', models.DateTimeField(null=True, verbose_name='ends without use')),
                ('expire_date', models.DateTimeField(verbose_name='until')),
            ],
            options={
                'verbose_name': 'session',
                'db_table': 'provisioning_session',
                'ordering': ['-created_at'],
                'managed': False,
            },
        ),
        migrations.AddField(
            model_name='session',
            name='ends_unused_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='session',
            name='handle',
            field=models.CharField(db_default='', max_length=32),
        ),
        migrations.AddField(
            model_name='session',
            name='network',
            field=models.GenericIPAddressField(null=True),
        ),
        migrations.AddField(
            model_name='session',
            name='seen_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(
            "UPDATE provisioning_session SET handle = left(encode(sha256(session_key::bytea), 'hex'), 32)",
            migrations.RunSQL.noop,
        ),
        migrations.AddIndex(
            model_name='session',
            index=models.Index(fields=['handle'], name='session_handle'),
        ),
    ]
