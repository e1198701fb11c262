"""Whom a key that an administrator types means: a name, an e-mail, an id, an old name, a reference. Knows no page."""

import re
from uuid import UUID

from django.db.models import Q, QuerySet

from identity_hub.core.ids import as_uuid
from provisioning import sql
from provisioning.decision.keys import fold
from provisioning.models import Identity

_REFERENCE = re.compile(r"[A-Za-z0-9-]{8,64}")
FOUND_AT_MOST = 1_000

# One key is one look into one index; joined by OR they would be a walk over everybody.
_WHOLE = """
SELECT id FROM provisioning_identity WHERE user_name_key = %(lower)s {tenant}
UNION SELECT id FROM provisioning_identity WHERE email_key = %(lower)s {tenant}
UNION SELECT id FROM provisioning_identity WHERE hr_number = %(text)s AND hr_number <> '' {tenant}
UNION SELECT id FROM provisioning_identity WHERE id = %(id)s {tenant}
UNION SELECT identity_id FROM provisioning_account WHERE id = %(id)s {tenant}
UNION SELECT identity_id FROM provisioning_account WHERE user_name_key = %(lower)s AND deleted_at IS NULL {tenant}
UNION SELECT identity_id FROM provisioning_account WHERE external_id = %(text)s AND deleted_at IS NULL {tenant}
UNION SELECT identity_id FROM provisioning_account
       WHERE subject_value = %(text)s AND subject_value <> '' AND deleted_at IS NULL {tenant}
UNION SELECT identity_id FROM provisioning_account WHERE email_keys @> ARRAY[%(lower)s]::varchar[] {tenant}
UNION SELECT identity_id FROM provisioning_account WHERE deleted_at IS NOT NULL {tenant}
         AND (user_name_key = %(lower)s OR external_id = %(text)s OR subject_value = %(text)s)
UNION SELECT identity_id FROM provisioning_alias WHERE value_key = %(lower)s {tenant}
UNION SELECT identity_id FROM provisioning_override
       WHERE ended_at IS NULL AND attribute = 'email' AND lower(value) = %(lower)s {tenant}
UNION SELECT identity_id FROM provisioning_auditrecord
       WHERE request_id = %(reference)s AND request_id <> '' {tenant}
LIMIT %(most)s
"""


def matching(identities: QuerySet[Identity], key: str, *, tenant_id: UUID | None) -> QuerySet[Identity]:
    """Those of `identities` whom `key` may mean; `tenant_id` None searches the installation (its superuser).

    Keys compare as a whole, without case; the userName, e-mail and names that the hub shows also by their parts. Whom
    an id, an e-mail or a number means as a whole is nobody's part.
    """
    text = key.strip().replace("\x00", "")
    if not text:
        return identities
    meant = _as_a_whole(text, tenant_id)
    if meant and ("@" in text or as_uuid(text) is not None or _is_reference(text)):
        return identities.filter(pk__in=meant)
    lower = fold(text)
    return identities.filter(
        Q(user_name_key__contains=lower)
        | Q(email_key__contains=lower)
        | Q(display_name__icontains=text)
        | Q(login_name__icontains=text)
        | Q(pk__in=meant)
    )


def ids(key: str, *, tenant_id: UUID | None) -> list[UUID]:
    """Of the first of them, for a list of something else than people."""
    everybody = Identity.objects.all() if tenant_id is None else Identity.objects.filter(tenant_id=tenant_id)
    found = matching(everybody, key, tenant_id=tenant_id).order_by()
    return list(found.values_list("pk", flat=True)[:FOUND_AT_MOST])


def _as_a_whole(text: str, tenant_id: UUID | None) -> list[UUID]:
    values = {
        "text": text,
        "lower": fold(text),
        "id": as_uuid(text),
        "reference": text if _is_reference(text) else "",
        "tenant": tenant_id,
        "most": FOUND_AT_MOST,
    }
    statement = _WHOLE.format(tenant="" if tenant_id is None else "AND tenant_id = %(tenant)s")
    found = sql.rows(statement, values, prepared=False)
    return [identity_id for (identity_id,) in found if identity_id is not None]


def _is_reference(text: str) -> bool:
    return _REFERENCE.fullmatch(text) is not None and any(character.isdigit() for character in text)
