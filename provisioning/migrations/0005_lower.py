from django.db import migrations

# The first one lowers every letter as Python's str.lower() does. PostgreSQL has it from version 18; of the others
# the last two know neither a final sigma nor the dot of a capital I. None depends on the database's own.
COLLATIONS = ("pg_unicode_fast", "und-x-icu", "pg_c_utf8", "C.utf8", "default")

LOWER = f"""
DO $do$
DECLARE best name;
BEGIN
    SELECT collname INTO best FROM pg_collation
     WHERE collname = ANY (ARRAY{list(COLLATIONS)})
       AND collencoding IN (-1, pg_char_to_encoding(getdatabaseencoding()))
     ORDER BY array_position(ARRAY{list(COLLATIONS)}, collname::text) LIMIT 1;
    EXECUTE format(
        'CREATE FUNCTION hub_lower(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE '
        'RETURN lower(value COLLATE %I)', best);
END
$do$
"""  # noqa: S608 - of the names above


class Migration(migrations.Migration):
    """How the database folds a text that it compares without case."""

    dependencies = [("provisioning", "0004_guards_of_scim")]

    operations = [migrations.RunSQL(LOWER, "DROP FUNCTION hub_lower(text)")]
