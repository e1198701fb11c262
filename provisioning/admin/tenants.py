"""The pages about organisations. A tenant's administrator reads his own; an installation superuser writes."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget

from provisioning.models import Connection, Identity, Tenant, TenantDomain
from provisioning.services import configuration

from .base import TenantAdmin, actor_of, said
from .forms import DomainForm


class TenantForm(forms.ModelForm):
    domains = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "example.org"}),
        help_text="One e-mail domain a line. Each counts as verified and belongs to this tenant alone.",
    )

    class Meta:
        model = Tenant
        fields = ["name", "slug"]


def _number(model: type[Any]) -> Subquery:
    rows = (
        model.objects.filter(tenant=OuterRef("pk")).order_by().values("tenant").annotate(number=Count("pk"))
    )
    return Subquery(rows.values("number"))


@admin.register(Tenant)
class TenantPage(TenantAdmin):
    tenant_path = "pk"
    form = TenantForm
    list_display = ["name", "slug", "people", "connections", "created_at"]
    search_fields = ["name", "slug"]
    actions_detail = ["add_domain"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        return (
            super().get_queryset(request).annotate(people=_number(Identity), connections=_number(Connection))
        )

    @display(description="People")
    def people(self, tenant: Tenant) -> int:
        return tenant.people or 0  # type: ignore[attr-defined]

    @display(description="Connections")
    def connections(self, tenant: Tenant) -> int:
        return tenant.connections or 0  # type: ignore[attr-defined]

    @display(description="Domains")
    def verified(self, tenant: Tenant) -> str:
        rows = TenantDomain.objects.filter(tenant=tenant)
        return (
            format_html_join(
                mark_safe("<br>"),
                "{}, {}",
                (
                    (row.domain, f"verified {row.verified_at:%Y-%m-%d} by {row.verified_how}")
                    if row.verified_at
                    else (row.domain, "not verified")
                    for row in rows
                ),
            )
            or "None yet"
        )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser and request.user.is_active)

    has_change_permission = has_add_permission

    def has_act_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_add_permission(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name", "slug", "domains"] if obj is None else ["name", "slug", "verified", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else ["slug", "verified", "created_at"]

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if change:
            configuration.change_tenant(
                tenant=Tenant.objects.get(pk=obj.pk), name=form.cleaned_data["name"], actor=actor_of(request)
            )
            return
        made = configuration.create_tenant(
            slug=obj.slug,
            name=obj.name,
            domains=form.cleaned_data["domains"].split(),
            actor=actor_of(request),
        )
        obj.pk = made.pk

    @action(description="Add a domain", url_path="add-domain", icon="add", permissions=["act"])
    def add_domain(self, request: HttpRequest, object_id: str) -> HttpResponse:
        tenant = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            row = configuration.add_domain(
                tenant=tenant, domain=data["domain"], how="superuser", actor=actor_of(request)
            )
            return f"{row.domain} belongs to {tenant}. Grant it to a connection to let that one speak for it."

        return self.ask(
            request,
            tenant,
            DomainForm(said(request)),
            title=f"Add a domain to {tenant}",
            lead="You vouch that this organisation owns the domain. A connection of the tenant may then be allowed "
            "to speak for people with such an e-mail.",
            submit="Add it",
            act=act,
        )
