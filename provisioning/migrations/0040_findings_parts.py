import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0039_spoken_at")]

    operations = [
        migrations.AddField(
            model_name="finding",
            name="parts",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=32), db_default=[], default=list, editable=False, size=None
            ),
        ),
        migrations.RemoveConstraint(model_name="finding", name="finding_asked_once"),
        migrations.AddConstraint(
            model_name="finding",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "open"), models.Q(("parts", []), ("status", "rejected")), _connector="OR"),
                fields=("tenant", "fingerprint"),
                name="finding_asked_once",
            ),
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(
                condition=models.Q(("status", "obsolete"), _negated=True),
                fields=["tenant", "fingerprint"],
                name="finding_answers",
            ),
        ),
    ]
