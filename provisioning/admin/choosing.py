"""One page on which an administrator looks for the other side of an act, inside the tenant. Knows no act."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Model, Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from identity_hub.core.ids import as_uuid
from provisioning.decision.keys import fold
from provisioning.models import Account, Identity
from provisioning.selectors import people_search

from .states import state_of, state_of_account

SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`key` is what the page of the act is asked with."""

    key: UUID
    title: str
    kind: str
    state: str
    good: bool


def identities(tenant_id: UUID, key: str, *, without: Iterable[UUID | None]) -> list[Choice]:
    """People whom the key may mean and who stand for themselves."""
    rows = people_search.matching(Identity.objects.with_state(), key, tenant_id=tenant_id)
    rows = rows.filter(tenant_id=tenant_id, merged_into__isnull=True)
    rows = rows.exclude(pk__in=[pk for pk in without if pk]).prefetch_related("holds").order_by("-id")
    found = []
    for identity in rows[:SHOWN]:
        badge, words = state_of(identity)
        found.append(
            Choice(
                key=identity.pk,
                title=str(identity),
                kind=identity.email or identity.user_name or "Identity",
                state=words,
                good=badge == "enabled",
            )
        )
    return found


def accounts(tenant_id: UUID, key: str, *, without: UUID) -> list[Choice]:
    """Live accounts of anybody but this identity, and of nobody."""
    text = key.replace("\x00", "").strip()
    meant = Q(user_name_key__contains=fold(text)) | Q(external_id=text) | Q(email_keys__contains=[fold(text)])
    if (as_id := as_uuid(text)) is not None:
        meant |= Q(pk=as_id) | Q(identity_id=as_id)
    rows = Account.objects.filter(meant, tenant_id=tenant_id, deleted_at__isnull=True)
    rows = rows.exclude(identity_id=without).select_related("connection", "identity").order_by("-id")
    return [
        Choice(
            key=account.pk,
            title=account.user_name,
            kind=f"Account of {account.connection}, "
            + (f"of {account.identity}" if account.identity else "which waits for its link"),
            state=state_of_account(account)[1],
            good=account.active,
        )
        for account in rows[:SHOWN]
    ]


def choose(
    page: Any,
    request: HttpRequest,
    row: Model,
    *,
    title: str,
    lead: str,
    label: str,
    parameter: str,
    found: Sequence[Choice] | None,
    action: str = "",
) -> HttpResponse:
    """Asks who is meant; a choice leads to `action` with `?parameter=key`. `found` is None before anybody looked."""
    return TemplateResponse(
        request,
        "provisioning/admin/choose.html",
        {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            "original": row,
            "title": title,
            "lead": lead,
            "label": label,
            "key": request.GET.get("q", ""),
            "parameter": parameter,
            "action": action,
            "found": found,
            "most": SHOWN,
            "back": page.address_of(row),
        },
    )
