"""Whom a key that an administrator types means: a name, an e-mail, an id, an old name, a reference. Knows no page."""

import re
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from identity_hub.core.ids import as_uuid
from provisioning.decision.keys import fold
from provisioning.models import Account, Alias, AuditRecord, Identity

_REFERENCE = re.compile(r"[A-Za-z0-9-]{8,64}")


def matching(identities: QuerySet[Identity], key: str, *, tenant_id: UUID | None) -> QuerySet[Identity]:
    """Those of `identities` whom `key` may mean; `tenant_id` None searches the installation (its superuser).

    Keys compare as a whole, without case; the userName, e-mail and names that the hub shows also by their parts.
    """
    text = key.strip().replace("\x00", "")
    lower = fold(text)
    if not text:
        return identities

    def of(rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows if tenant_id is None else rows.filter(tenant_id=tenant_id)

    accounts = Q(user_name_key=lower) | Q(external_id=text) | Q(email_keys__contains=[lower])
    accounts |= Q(subject_value=text)
    if (as_id := as_uuid(text)) is not None:
        accounts |= Q(pk=as_id)
    meant = (
        Q(user_name_key__contains=lower)
        | Q(email_key__contains=lower)
        | Q(display_name__icontains=text)
        | Q(login_name__icontains=text)
        | Q(hr_number=text)
        | Q(pk__in=of(Account.objects.filter(accounts, identity__isnull=False)).values("identity_id"))
        | Q(pk__in=of(Alias.objects.filter(value_key=lower, identity__isnull=False)).values("identity_id"))
    )
    if as_id is not None:
        meant |= Q(pk=as_id)
    if _REFERENCE.fullmatch(text) and any(character.isdigit() for character in text):
        meant |= Q(
            pk__in=of(AuditRecord.objects.filter(request_id=text, identity_id__isnull=False)).values(
                "identity_id"
            )
        )
    return identities.filter(meant)
