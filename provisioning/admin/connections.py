"""The pages about identity providers: addresses to copy, policy to choose, what beside them is shown."""

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from identity_hub.core.clock import now
from provisioning import addresses
from provisioning.models import Connection
from provisioning.presets import PRESETS
from provisioning.selectors.connections import DomainState, domain_states, live_accounts
from provisioning.selectors.reconciliation import population
from provisioning.services import configuration

from .attribute_table import FIELDS, AttributesField
from .base import actor_of, tenant_of
from .credentials import CredentialPages
from .forms import KeepableJSONField, LinesField, LongOpenForm, ReasonField
from .parts import PARTS, View
from .runs import start_simulation
from .setup import SetUpPages
from .switches import stopped

NOTICES_AT_MOST = 5


class ConnectionForm(LongOpenForm):
    preset = forms.ChoiceField(
        required=False,
        choices=[("", "Another product"), *((one.code, one.title) for one in PRESETS.values())],
        widget=UnfoldAdminSelectWidget,
        label="Product",
        help_text="What it sends by itself is known: a new connection is set to it at once. Of one that exists, the "
        "attributes below stay as they are; its test login proposes what fits.",
    )
    attributes = AttributesField(
        required=False,
        label="Attributes",
        help_text="Attributes of the assertion by Name or FriendlyName; the first that has a good value serves, and a "
        "hyphen alone means that it is not read. What is required must be good before a login may make an account. "
        "Placeholders such as null, N/A or ${user.email} are never good.",
    )
    domains = forms.MultipleChoiceField(
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    jit_groups = LinesField(
        max_length=512,
        required=False,
        label="Groups that may",
        help_text="One a line, to the letter. A first login must bring one of them in the group attribute. Empty: "
        "whoever keeps the other limits.",
    )
    reason = ReasonField()

    class Meta:
        model = Connection
        fields = "__all__"
        labels = {
            "unknown_member": "Unknown group member",
            "retention_days": "Keep deleted accounts (days)",
            "jit_grace_days": "JIT grace (days)",
            "jit_idle_grace_days": "JIT grace without SCIM (days)",
            "dormant_days": "Ask about accounts without a login for (days)",
            "stale_push_days": "Ask when nothing was pushed for (days)",
            "trusted_email": "Trust its e-mails",
            "trusted_hr_number": "Trust its HR numbers",
            "user_name_attribute": "userName attribute",
            "external_id_attribute": "externalId attribute",
            "force_authn": "Sign in anew each time",
            "authn_contexts": "Ways of authentication",
            "name_id_format": "NameID format",
            "idp_initiated": "Logins that begin at the identity provider",
            "session_hours": "Sessions end after (hours)",
            "session_idle_minutes": "Sessions end without use after (minutes)",
            "scim_enabled": "Takes SCIM pushes",
            "jit": "First logins",
            "jit_attributes": "Values that may",
            "jit_approval": "Accounts that logins make need an approval",
            "burst_creations": "Alarm from so many new accounts",
            "burst_refusals": "Alarm from so many refusals",
            "group_attribute": "Group attribute",
            "groups_unconfirmed": "Groups of unconfirmed accounts count",
            "run_few": "People a run may always stop",
            "run_share": "Or a share of its people (%)",
            "run_most": "And never more than",
            "second_approver_over": "Two administrators from more than",
            "burst_deactivations": "Alarm from so many deactivations",
            "burst_deactivation_minutes": "Within (minutes)",
            "strict_deactivations": "Stop such a burst",
        }
        field_classes = {"jit_attributes": KeepableJSONField}
        widgets = {
            "idp_metadata": UnfoldAdminTextareaWidget(attrs={"rows": 6}),
            "jit_attributes": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        }
        help_texts = {
            "run_few": "A run that takes access from no more goes on by itself.",
            "run_share": "Of the people who have access by it. A run that is over both waits in quarantine.",
            "run_most": "Whatever the share is.",
            "second_approver_over": "A run that takes access from more people, with the others of 24 hours, needs "
            "two administrators. Empty: one is enough. Only a superuser raises it or empties it again.",
            "burst_deactivations": "More people than this, switched off or deleted by SCIM, open a finding. 0: never.",
            "burst_deactivation_minutes": "1 to 1440.",
            "strict_deactivations": "From the alarm on SCIM deactivations are answered 503 and not obeyed, until an "
            "administrator lets them go on. Off: they are obeyed, and the finding says so.",
            "jit_grace_days": "How long an account that only a login made may wait for SCIM to confirm it.",
            "jit_idle_grace_days": "Where nothing can confirm it: how long it may stay without a login.",
            "dormant_days": "Whoever has signed in once and not since opens a finding; nothing is switched off. "
            "0: never.",
            "stale_push_days": "An identity provider that has pushed once and not since opens a finding. 0: never.",
            "jit": "What a login may do when SCIM has not delivered the person yet.",
            "jit_attributes": "What a first login must say: an attribute of the hub or of the assertion, and the "
            'values that will do. For instance {"department": ["Sales"], "eduPersonAffiliation": ["employee"]}.',
            "jit_approval": "Nobody gets in by such an account until an administrator decides the finding. SCIM does "
            "not approve of it.",
            "burst_creations": "More than this within ten minutes, made by logins, opens a finding. 0: never.",
            "burst_refusals": "More refusals of signed answers than this within ten minutes open a finding. 0: never.",
            "group_attribute": "Assertion attribute that carries groups, such as groups or memberOf. Only values on "
            "the allow-list above give something, and only where SCIM manages no groups. Empty: none.",
            "groups_unconfirmed": "Of an account that only logins have spoken of, too.",
            "precedence": "Where a person has accounts on several connections, the lower number is shown.",
            "trusted_email": "Link a new account to a person by an e-mail in a granted domain. Off: ask by a finding.",
            "trusted_hr_number": "You vouch for its HR numbers: they may link people across connections.",
            "user_name_attribute": "Assertion attribute that equals the SCIM userName. Never an e-mail attribute. "
            "Empty: the NameID.",
            "external_id_attribute": "Assertion attribute that equals the SCIM externalId and never changes. Never an "
            "e-mail attribute.",
            "force_authn": "The identity provider is asked for a new authentication (ForceAuthn); no older one counts.",
            "authn_contexts": "AuthnContextClassRefs, separated by commas. They are asked for, and the answer must "
            "name one of them. Empty: any.",
            "name_id_format": "What is asked for, like urn:oasis:names:tc:SAML:2.0:nameid-format:persistent. Empty: "
            "whatever the identity provider is set up to send.",
            "idp_initiated": "For a tile in its portal that cannot open the hub's own sign-in address. Nothing then "
            "ties the answer to the browser that brings it: whoever makes somebody's browser post his own answer "
            "signs that person in as himself.",
            "session_hours": "Earlier where the identity provider says so.",
            "session_idle_minutes": "0 means that only the age of a session ends it.",
            "idp_metadata": "Paste the XML that the identity provider publishes.",
        }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.initial["attributes"] = {name: getattr(self.instance, name) for name in FIELDS}
        tenant_id = self.instance.tenant_id
        if tenant_id is None:
            self.fields.pop("domains", None)
        elif "domains" in self.fields:
            states = domain_states(self.instance)
            verified = [state for state in states if state.verified_at]
            self.fields["domains"].choices = [(state.domain, state.domain) for state in verified]
            self.initial["domains"] = [state.domain for state in verified if state.granted]
            self.fields["domains"].help_text = _about_domains(tenant_id, states)

    def clean_jit_attributes(self) -> object:
        return self.cleaned_data["jit_attributes"] or {}


def _about_domains(tenant_id: UUID, states: list[DomainState]) -> str:
    waiting = ", ".join(state.domain for state in states if not state.verified_at)
    return format_html(
        "Verified e-mail domains that this connection may speak for. {}Domains are added and proved on the <a "
        'class="hub-link" href="{}">tenant\'s page</a>.',
        f"Not verified yet: {waiting}. " if waiting else "",
        reverse("admin:provisioning_tenant_change", args=[tenant_id]),
    )


def _addresses(connection_id: UUID) -> list[tuple[str, str, str]]:
    """(what, address, where the identity provider asks for it)."""
    metadata = addresses.saml_metadata(connection_id)
    return [
        ("SCIM base URL", addresses.scim_base(), "Entra ID: Tenant URL. Okta: SCIM connector base URL."),
        ("Token endpoint", addresses.scim_token_endpoint(), "Only for an OAuth client; others send a token."),
        ("SP entity ID", metadata, "Entra ID: Identifier. Okta: Audience URI."),
        ("ACS URL", addresses.saml_acs(connection_id), "Entra ID: Reply URL. Okta: Single sign-on URL."),
        ("Metadata URL", metadata, "For providers that read metadata by themselves."),
        (
            "Sign-in URL",
            addresses.saml_login(connection_id),
            "Starts a login here; for a tile or a bookmark.",
        ),
        ("Sign-out URL", addresses.saml_logout(connection_id), "Entra ID: Logout URL."),
    ]


@admin.register(Connection)
class ConnectionPage(SetUpPages, CredentialPages):
    form = ConnectionForm
    list_display = ["name", "state", "jit", "people", "pushed", "domains_granted"]
    list_filter = ["status", "jit"]
    search_fields = ["name", "idp_entity_id"]
    audit_column = "connection_id"
    change_form_template = "provisioning/admin/connection.html"
    actions_detail = [
        "activate",
        "issue_token",
        {"title": "More", "icon": "more_horiz", "items": ["add_client", "simulate", "disable"]},
    ]
    readonly_fields = ["status", "idp_entity_id", "config_version", "last_push_at", "created_at"]
    fieldsets = [
        (None, {"fields": [("name", "status"), "domains"]}),
        (
            "Policy",
            {
                "classes": ["tab"],
                "fields": ["trusted_email", "trusted_hr_number", "precedence"],
            },
        ),
        (
            "First logins",
            {
                "classes": ["tab"],
                "fields": [
                    "jit",
                    "jit_groups",
                    "jit_attributes",
                    "jit_approval",
                    ("burst_creations", "burst_refusals"),
                    "group_attribute",
                    "groups_unconfirmed",
                ],
            },
        ),
        (
            "SCIM",
            {
                "classes": ["tab"],
                "fields": [
                    "scim_enabled",
                    "unknown_member",
                    "requests_per_minute",
                    "retention_days",
                    ("jit_grace_days", "jit_idle_grace_days"),
                    ("dormant_days", "stale_push_days"),
                ],
            },
        ),
        (
            "Runs",
            {
                "classes": ["tab"],
                "fields": [
                    ("run_few", "run_share", "run_most"),
                    "second_approver_over",
                    ("burst_deactivations", "burst_deactivation_minutes"),
                    "strict_deactivations",
                ],
            },
        ),
        (
            "SAML",
            {
                "classes": ["tab"],
                "fields": [
                    "idp_entity_id",
                    "name_id_format",
                    "authn_contexts",
                    "force_authn",
                    "idp_initiated",
                    ("session_hours", "session_idle_minutes"),
                ],
            },
        ),
        (
            "Attributes",
            {
                "classes": ["tab"],
                "fields": ["preset", ("user_name_attribute", "external_id_attribute"), "attributes"],
            },
        ),
        ("This change", {"fields": ["reason", ("config_version", "last_push_at", "created_at")]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["tenant", "name", "jit"]}),
        ("SAML", {"fields": ["idp_metadata", "preset", "user_name_attribute", "external_id_attribute"]}),
        ("This change", {"fields": ["reason"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return super().get_queryset(request).prefetch_related("granted_domains__domain")

    def numbered(self, rows: QuerySet[Connection]) -> QuerySet[Connection]:
        return rows.annotate(live_accounts=live_accounts())

    @display(
        description="Status",
        ordering="status",
        label={"draft": "info", "active": "success", "frozen": "danger", "disabled": "warning"},
    )
    def state(self, connection: Connection) -> tuple[str, str]:
        return connection.status, connection.get_status_display()

    @display(description="Live accounts")
    def people(self, connection: Connection) -> int:
        return connection.live_accounts or 0  # type: ignore[attr-defined]

    @display(description="Last push", ordering="last_push_at")
    def pushed(self, connection: Connection) -> Any:
        return connection.last_push_at or "Never"

    @display(description="Domains")
    def domains_granted(self, connection: Connection) -> str:
        return ", ".join(grant.domain.domain for grant in connection.granted_domains.all()) or "—"

    def notices(self, request: HttpRequest, at: datetime) -> list[str]:
        """For the start page: whose kill switches are on."""
        rows = self.get_queryset(request).exclude(stopped={})[:NOTICES_AT_MOST]
        return [
            f"{row}: {' and '.join(stopped(row))} stopped. Its page says why, and lets go on what is stopped."
            for row in rows
        ]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_enter(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_enter(request)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None and tenant_of(request) is not None:
            # A tenant's administrator makes connections of that tenant; there is nothing to choose.
            return [(None, {"fields": ["name", "jit"]}), *fieldsets[1:]]
        return fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else list(self.readonly_fields)

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        given = {name: form.cleaned_data[name] for name in form.changed_data}
        given |= given.pop("attributes", None) or {}
        if change:
            configuration.change_connection(
                connection=obj,
                changes={name: value for name, value in given.items() if name in configuration.CHANGEABLE},
                domains=given.get("domains"),
                reason=form.cleaned_data["reason"],
                actor=actor_of(request),
            )
            return
        chosen = {
            name: value for name, value in form.cleaned_data.items() if name in configuration.CHANGEABLE
        }
        made = configuration.create_connection(
            tenant=obj.tenant if request.user.is_superuser else request.user.tenant,
            actor=actor_of(request),
            reason=form.cleaned_data["reason"],
            **chosen,
        )
        obj.pk = made.pk

    def response_add(
        self, request: HttpRequest, obj: Connection, post_url_continue: Any = None
    ) -> HttpResponse:
        # The next thing that anybody needs are the addresses and a token.
        request.POST = request.POST.copy()
        request.POST["_continue"] = "1"
        return super().response_add(request, obj, post_url_continue)

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                f"<path:object_id>/{address}/",
                self.admin_site.admin_view(partial(self.part_view, view=view)),
                name=f"provisioning_connection_{address.replace('-', '_')}",
            )
            for part in PARTS
            for address, view in part.views.items()
        ] + super().get_urls()

    def part_view(self, request: HttpRequest, object_id: str, *, view: View) -> HttpResponse:
        return view(self, request, self.get_object(request, object_id))

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        connection = self.get_object(request, object_id)
        return {
            "cards": [card for part in PARTS for card in part.cards(request, connection)],
            "addresses": _addresses(connection.pk),
            "live_accounts": population(connection),
            **self.readiness_of(request, connection),
            **self.credentials_of(connection, now()),
        }

    @action(
        description="Simulate a reconciliation", url_path="simulate", icon="fact_check", permissions=["act"]
    )
    def simulate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.get_object(request, object_id)
        return start_simulation(self, request, connection)
