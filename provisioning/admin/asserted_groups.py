"""The card of a connection about groups that logins bring: the allow-list, to add to and to take from."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from identity_hub.core.ids import as_uuid
from provisioning.models import AssertedGroup, Connection, DirectoryGroup, Entitlement
from provisioning.services import configuration

from . import parts
from .base import TenantAdmin, actor_of, said
from .forms import ReasonForm


class _AllowForm(ReasonForm):
    value = forms.CharField(
        max_length=512,
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="As the identity provider sends it, to the letter: a name, or an id such as Entra's.",
    )
    field_order = ["value", "entitlement", "reason"]

    def __init__(self, *arguments: Any, rows: QuerySet[Entitlement], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["entitlement"] = forms.ModelChoiceField(queryset=rows, widget=UnfoldAdminSelectWidget)
        self.order_fields(self.field_order)


class AssertedGroups:
    def __init__(self) -> None:
        self.views: Mapping[str, parts.View] = {"allow-group": self.allow, "disallow-group": self.disallow}

    def cards(self, request: HttpRequest, connection: Connection) -> list[parts.Card]:
        rows = list(
            connection.asserted_groups.filter(tenant_id=connection.tenant_id).select_related("entitlement")
        )
        if not rows and not connection.group_attribute:
            return []
        context = {
            "rows": rows,
            "managed": DirectoryGroup.objects.filter(
                tenant_id=connection.tenant_id, connection=connection
            ).exists(),
        }
        return [parts.Card(template="provisioning/admin/asserted_groups.html", context=context)]

    def allow(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        offered = Entitlement.objects.filter(tenant_id=connection.tenant_id)
        if not request.user.is_superuser:
            offered = offered.filter(grants_staff=False)

        def act(data: dict[str, Any]) -> str:
            row = configuration.allow_group(
                connection=connection,
                value=data["value"],
                entitlement=data["entitlement"],
                actor=actor_of(request),
                reason=data["reason"],
            )
            return f"From the next login on, {row.value} gives {row.entitlement}."

        return page.ask(
            request,
            connection,
            _AllowForm(said(request), rows=offered),
            title=f"What does a group that {connection} brings give?",
            lead=f"Whoever brings the value in {connection.group_attribute or 'the group attribute'} holds the "
            "entitlement, from the next login on and until a login comes without it.",
            submit="Allow it",
            act=act,
        )

    def disallow(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        key = as_uuid(request.GET.get("row", ""))
        row = (
            AssertedGroup.objects.filter(tenant_id=connection.tenant_id, connection=connection, pk=key)
            .select_related("entitlement")
            .first()
        )
        if row is None or (row.entitlement.grants_staff and not request.user.is_superuser):
            raise Http404

        def act(data: dict[str, Any]) -> str:
            configuration.disallow_group(row=row, actor=actor_of(request), reason=data["reason"])
            return f"{row.value} no longer gives {row.entitlement}."

        return page.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"{row.value} gives {row.entitlement}",
            lead="Take it off the list? Whoever has the entitlement by this value loses it with the next request.",
            submit="Take it off",
            danger=True,
            act=act,
        )


parts.register(AssertedGroups())
