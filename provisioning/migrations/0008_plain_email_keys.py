from django.db import migrations

PLAIN = """
UPDATE provisioning_account a
   SET email_keys = ARRAY(
           SELECT k.value FROM unnest(a.email_keys) AS k(value)
            WHERE k.value <> ALL (typed.keys) OR k.value = ANY (typed.plain)
       )
  FROM (
    SELECT b.id, array_agg(hub_lower(e.value ->> 'value')) AS plain,
           array_agg(coalesce(hub_lower(e.value ->> 'type'), '') || ':' || hub_lower(e.value ->> 'value')) AS keys
      FROM provisioning_account b, jsonb_path_query(b.resource -> 'emails', '$[*]') AS e(value)
     WHERE e.value ->> 'value' IS NOT NULL
     GROUP BY b.id
  ) typed
 WHERE a.id = typed.id AND a.email_keys && typed.keys::varchar[]
"""


class Migration(migrations.Migration):
    """An e-mail was kept as `type:value`, too; nobody asked for it so."""

    dependencies = [("provisioning", "0007_indexes_of_keys")]

    operations = [migrations.RunSQL(PLAIN, migrations.RunSQL.noop)]
