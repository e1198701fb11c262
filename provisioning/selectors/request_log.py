"""The provisioning log, as it is asked for: by person, by what was meant, by how it ended. Knows no page."""

from uuid import UUID

from django.db.models import Q, QuerySet

from identity_hub.core.ids import as_uuid
from provisioning.models import Account, Connection, Identity, ScimRequest
from provisioning.request_log import EMAIL, EXTERNAL_ID, FAMILIES, USER_NAME, digests


def refused(rows: QuerySet[ScimRequest]) -> QuerySet[ScimRequest]:
    return rows.filter(status__gte=400)


_READS = Q(method__in=("GET", "HEAD")) | Q(action__endswith=".look-up") | Q(action__endswith=".list")


def read(rows: QuerySet[ScimRequest]) -> QuerySet[ScimRequest]:
    return rows.filter(_READS, status__lt=400)


def written(rows: QuerySet[ScimRequest]) -> QuerySet[ScimRequest]:
    return rows.filter(~_READS, status__lt=400)


def about_key(rows: QuerySet[ScimRequest], key: str, *, tenant_id: UUID | None) -> QuerySet[ScimRequest]:
    """Requests that named a person by this userName, externalId or e-mail; also those that made no account.

    `tenant_id` None asks every tenant's connections (the installation's superuser).
    """
    return rows.filter(digests__overlap=_meant(key, tenant_id))


def matching(rows: QuerySet[ScimRequest], key: str, *, tenant_id: UUID | None) -> QuerySet[ScimRequest]:
    """Those of `rows` that `key` may mean: a person's key, an id of what was addressed, a request id, a code."""
    text = key.replace("\x00", "").strip()
    if not text:
        return rows
    meant = Q(digests__overlap=_meant(text, tenant_id)) | Q(request_id=text)
    if (as_id := as_uuid(text)) is not None:
        meant |= Q(target_id=as_id) | Q(target_id__in=_accounts(as_id, tenant_id))
    elif "." in text and " " not in text and "@" not in text:
        meant |= Q(action=text)
    elif ":" in text:
        meant |= Q(reason=text)
    return rows.filter(meant)


def _accounts(identity_id: UUID, tenant_id: UUID | None) -> list[UUID]:
    rows = Account.objects.filter(identity_id=identity_id)
    return list(
        (rows if tenant_id is None else rows.filter(tenant_id=tenant_id)).values_list("pk", flat=True)
    )


def _meant(key: str, tenant_id: UUID | None) -> list[str]:
    """The digests of a key in every family and at every connection."""
    return [
        digest
        for connection_id, digest_key in _connections(tenant_id)
        for digest in digests(digest_key, connection_id, [(family, key.strip()) for family in FAMILIES])
    ]


def _connections(tenant_id: UUID | None) -> list[tuple[UUID, bytes]]:
    rows = Connection.objects.all() if tenant_id is None else Connection.objects.filter(tenant_id=tenant_id)
    return [(pk, bytes(key)) for pk, key in rows.order_by().values_list("pk", "tenant__digest_key")]


def about(rows: QuerySet[ScimRequest], identity: Identity) -> QuerySet[ScimRequest]:
    """Requests to an identity's accounts, live and deleted, and those that named the person in vain."""
    accounts = list(
        Account.objects.filter(tenant_id=identity.tenant_id, identity=identity).only(
            "pk", "connection_id", "user_name", "external_id", "email_keys"
        )
    )
    named: set[str] = set()
    for connection_id, digest_key in _connections(identity.tenant_id) if identity.tenant_id else ():
        keys = {(USER_NAME, identity.user_name), (EMAIL, identity.email)}
        for account in accounts:
            if account.connection_id == connection_id:
                keys |= {(USER_NAME, account.user_name), (EXTERNAL_ID, account.external_id or "")}
                keys |= {(EMAIL, email) for email in account.email_keys}
        named |= {*digests(digest_key, connection_id, [(family, key) for family, key in keys if key])}
    return rows.filter(
        Q(target_id__in=[account.pk for account in accounts]) | Q(digests__overlap=sorted(named)),
        tenant_id=identity.tenant_id,
    )


def requests_about(identity: Identity, *, limit: int = 20) -> list[ScimRequest]:
    """The newest requests about an identity; three statements. Somebody of no tenant has none."""
    if identity.tenant_id is None:
        return []
    return list(about(ScimRequest.objects.all(), identity).order_by("-id")[:limit])
