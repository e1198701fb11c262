"""The yardsticks: for each kind of work the bare Django view that does no more than its table asks.

Each looks the token up and does its work through the ORM, as an ordinary application would, in the hub's own
tables: no SCIM, no decision, no audit, no outbox, no log. Writes commit.
"""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from identity_hub.core.clock import now
from provisioning.models import Account, DirectoryGroup, Membership, ScimToken
from provisioning.selectors.tokens import digest

View = Callable[..., HttpResponse]


def with_token(view: View) -> View:
    @csrf_exempt
    def looked_up(request: HttpRequest, **names: Any) -> HttpResponse:
        token = (
            ScimToken.objects.select_related("connection")
            .filter(
                digest=digest(request.headers["Authorization"].removeprefix("Bearer ")),
                revoked_at__isnull=True,
            )
            .first()
        )
        if token is None:
            return HttpResponse(status=401)
        return view(request, token, **names)

    return looked_up


def _shown(row: Account) -> dict[str, Any]:
    return {"id": str(row.pk), **row.resource}


@with_token
def user(request: HttpRequest, token: ScimToken, key: UUID) -> HttpResponse:
    row = Account.objects.get(tenant_id=token.tenant_id, pk=key)
    if request.method != "GET":
        said = json.loads(request.body)
        with transaction.atomic():
            row.resource |= said
            row.active = said.get("active", row.active)
            row.version += 1
            row.updated_at = now()
            row.save()
    return JsonResponse(_shown(row))


@with_token
def users(request: HttpRequest, token: ScimToken) -> HttpResponse:
    rows = Account.objects.filter(connection_id=token.connection_id)
    if request.method == "GET":
        if name := request.GET.get("userName"):
            rows = rows.filter(user_name_key=name.lower())
        if key := request.GET.get("externalId"):
            rows = rows.filter(external_id=key)
        if mail := request.GET.get("email"):
            rows = rows.filter(email_keys__contains=[mail])
        if "count" in request.GET:
            rows = rows.order_by("id")[: int(request.GET["count"])]
        return JsonResponse([_shown(row) for row in rows], safe=False)
    said = json.loads(request.body)
    with transaction.atomic():
        row = Account.objects.create(
            tenant_id=token.tenant_id,
            connection_id=token.connection_id,
            origin="scim",
            lifecycle_owner="scim",
            user_name=said["userName"],
            user_name_key=said["userName"].lower(),
            external_id=said["externalId"],
            email_keys=[said["userName"]],
            resource=said,
        )
    return JsonResponse(_shown(row), status=201)


@with_token
def group(request: HttpRequest, token: ScimToken, key: UUID) -> HttpResponse:
    row = DirectoryGroup.objects.get(tenant_id=token.tenant_id, pk=key)
    if request.method != "GET":
        said = json.loads(request.body)
        with transaction.atomic():
            Membership.objects.filter(group=row, account_id__in=said.get("remove", [])).delete()
            Membership.objects.bulk_create(
                [
                    Membership(tenant_id=token.tenant_id, group=row, account_id=UUID(member))
                    for member in said.get("add", [])
                ],
                ignore_conflicts=True,
            )
            DirectoryGroup.objects.filter(pk=row.pk).update(version=F("version") + 1, updated_at=now())
        return HttpResponse(status=204)
    shown: dict[str, Any] = {"id": str(row.pk), "displayName": row.display_name}
    if request.GET.get("members") != "no":
        found = Membership.objects.filter(group=row).order_by("id").values_list("account_id", flat=True)
        shown["members"] = [{"value": str(member)} for member in found]
    return JsonResponse(shown)


urlpatterns = [
    path("bare/users", users),
    path("bare/users/<uuid:key>", user),
    path("bare/groups/<uuid:key>", group),
]
