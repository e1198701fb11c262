"""The pages about organisations. A tenant's administrator reads his own and looks after its domains; an installation
superuser writes."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget

from identity_hub.core.clock import now
from provisioning import addresses
from provisioning.models import Connection, Identity, Tenant, TenantDomain
from provisioning.services import configuration, domains

from . import posture
from .base import TenantAdmin, actor_of, said
from .forms import DomainForm, LongOpenForm, ReasonField, ReasonForm


class TenantForm(LongOpenForm):
    reason = ReasonField()
    domains = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "example.org"}),
        help_text="One e-mail domain a line. Each waits on the tenant's page for its proof: a TXT record, or your word "
        "with a reason.",
    )

    class Meta:
        model = Tenant
        fields = ["name", "slug", *configuration.RUN_LIMITS]
        labels = {
            "run_few": "People that runs may always stop",
            "run_share": "Or a share of all people (%)",
            "run_most": "And never more than",
        }
        help_texts = {
            "run_few": "All runs of 24 hours together, beside what each connection allows its own.",
            "run_share": "Of all people who have access. What is over both waits in quarantine.",
        }


def _number(model: type[Any]) -> Subquery:
    rows = (
        model.objects.filter(tenant=OuterRef("pk")).order_by().values("tenant").annotate(number=Count("pk"))
    )
    return Subquery(rows.values("number"))


@admin.register(Tenant)
class TenantPage(TenantAdmin):
    tenant_path = "pk"
    form = TenantForm
    list_display = ["name", "slug", "people", "connections", "posture", "created_at"]
    search_fields = ["name", "slug"]
    actions_detail = ["add_domain"]
    change_form_template = "provisioning/admin/tenant.html"

    def numbered(self, rows: QuerySet[Tenant]) -> QuerySet[Tenant]:
        return rows.annotate(people=_number(Identity), connections=_number(Connection))

    @display(description="People")
    def people(self, tenant: Tenant) -> int:
        return tenant.people or 0  # type: ignore[attr-defined]

    @display(description="Connections")
    def connections(self, tenant: Tenant) -> int:
        return tenant.connections or 0  # type: ignore[attr-defined]

    @display(description="Posture")
    def posture(self, tenant: Tenant) -> str:
        address = reverse("admin:provisioning_tenant_posture", args=[tenant.pk])
        return format_html('<a class="hub-link" href="{}">What is covered</a>', address)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser and request.user.is_active)

    has_change_permission = has_add_permission

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        if obj is None:
            return ["name", "slug", "domains", "reason"]
        return ["name", "slug", *configuration.RUN_LIMITS, "created_at", "reason"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else ["slug", "created_at"]

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if change:
            changed = {name: form.cleaned_data[name] for name in form.changed_data}
            configuration.change_tenant(
                tenant=Tenant.objects.get(pk=obj.pk),
                name=changed.get("name"),
                limits={name: changed[name] for name in configuration.RUN_LIMITS if name in changed},
                actor=actor_of(request),
                reason=form.cleaned_data["reason"],
            )
            return
        actor, reason = actor_of(request), form.cleaned_data["reason"]
        made = configuration.create_tenant(slug=obj.slug, name=obj.name, actor=actor, reason=reason)
        for domain in form.cleaned_data["domains"].split():
            domains.claim_domain(tenant=made, domain=domain, actor=actor, reason=reason)
        obj.pk = made.pk

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        tenant = self.get_object(request, object_id)
        rows = TenantDomain.objects.filter(tenant=tenant).prefetch_related("grants__connection")
        return {
            "at": now(),
            "sign_in": addresses.tenant_sign_in(tenant.slug),
            "may_confirm": request.user.is_superuser,
            "rows": [
                (row, *_state_of(row), sorted(grant.connection.name for grant in row.grants.all()))
                for row in rows
            ],
        }

    @action(description="Add a domain", url_path="add-domain", icon="add", permissions=["act"])
    def add_domain(self, request: HttpRequest, object_id: str) -> HttpResponse:
        tenant = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            row = domains.claim_domain(
                tenant=tenant, domain=data["domain"], actor=actor_of(request), reason=data["reason"]
            )
            if row.verified_at:
                return f"{row.domain} is verified already."
            return f"{row.domain} was added. Enter its TXT record in the DNS, then press Check DNS."

        return self.ask(
            request,
            tenant,
            DomainForm(said(request)),
            title=f"Add a domain to {tenant}",
            lead="The domain of people's e-mail addresses. It counts once a TXT record in its DNS proves that this "
            "organisation owns it; the next page shows the record.",
            submit="Add it",
            act=act,
        )

    def get_urls(self) -> list[URLPattern]:
        views = (
            ("check-domain", self.check_domain_view),
            ("confirm-domain", self.confirm_domain_view),
            ("remove-domain", self.remove_domain_view),
        )
        return [
            path(
                "<path:object_id>/posture/",
                self.admin_site.admin_view(self.posture_view),
                name="provisioning_tenant_posture",
            ),
            *(
                path(
                    f"<path:object_id>/{name}/<uuid:domain_id>/",
                    self.admin_site.admin_view(view),
                    name=f"provisioning_tenant_{name.replace('-', '_')}",
                )
                for name, view in views
            ),
            *super().get_urls(),
        ]

    def posture_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return posture.show(self, request, self.get_object(request, object_id))

    def _domain(self, request: HttpRequest, object_id: str, domain_id: UUID) -> TenantDomain:
        tenant = self.get_object(request, object_id)
        row: TenantDomain | None = TenantDomain.objects.filter(tenant=tenant, pk=domain_id).first()
        if row is None:
            raise Http404
        return row

    def check_domain_view(self, request: HttpRequest, object_id: str, domain_id: UUID) -> HttpResponse:
        """One press asks the DNS; an address that was opened asks nothing."""
        domain = self._domain(request, object_id, domain_id)
        if request.method == "POST":
            try:
                checked = domains.check_domain(domain=domain, actor=actor_of(request))
            except configuration.Invalid as refusal:
                messages.error(request, refusal.message)
            else:
                tell = messages.success if checked.found else messages.error
                tell(request, checked.sentence)
        return HttpResponseRedirect(self.address_of(domain.tenant))

    def confirm_domain_view(self, request: HttpRequest, object_id: str, domain_id: UUID) -> HttpResponse:
        domain = self._domain(request, object_id, domain_id)
        if not request.user.is_superuser:
            raise PermissionDenied

        def act(data: dict[str, Any]) -> str:
            domains.confirm_domain(domain=domain, reason=data["reason"], actor=actor_of(request))
            return f"{domain} is verified. Grant it to a connection to let that one speak for it."

        return self.ask(
            request,
            domain.tenant,
            ReasonForm(said(request)),
            title=f"Confirm {domain} by hand",
            lead=f"You vouch that {domain.tenant} owns {domain}, where no DNS record can say so. From then on no "
            "other tenant can have it.",
            submit="Confirm it",
            act=act,
        )

    def remove_domain_view(self, request: HttpRequest, object_id: str, domain_id: UUID) -> HttpResponse:
        domain = self._domain(request, object_id, domain_id)
        speaking = sorted(grant.connection.name for grant in domain.grants.select_related("connection"))

        def act(data: dict[str, Any]) -> str:
            domains.remove_domain(domain=domain, reason=data["reason"], actor=actor_of(request))
            return f"{domain} was removed."

        return self.ask(
            request,
            domain.tenant,
            ReasonForm(said(request)),
            title=f"Remove {domain}",
            lead="No connection speaks for it from then on: its people do not find the sign-in by their e-mail, and a "
            "login makes no account for them. Accounts that exist stay as they are.",
            submit="Remove it",
            danger=True,
            facts=[("Granted to", ", ".join(speaking) or "no connection")],
            act=act,
        )


def _state_of(domain: TenantDomain) -> tuple[str, str]:
    """(badge, words)"""
    if domain.verified_at is None:
        return "hub-warning", "Not verified"
    if domain.verified_how != "dns":
        return "hub-success", f"Verified by {domain.verified_how}"
    seen = domain.record_seen_at or domain.verified_at
    if domain.checked_at is not None and domain.checked_at > seen:
        return "hub-warning", "Verified; the record is away"
    return "hub-success", "Verified by DNS"
