"""The pages about accounts: what each connection said, unchanged. Only connections write them."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from identity_hub.core.ids import as_uuid
from provisioning.decision.keys import fold
from provisioning.models import Account, Finding

from .base import TenantAdmin, link_to, shown_as_json
from .linking import LinkingActs
from .lists import COUNTED_AT_MOST
from .site import FOUND_AT_MOST, Found
from .states import state_of_account


class LifeFilter(admin.SimpleListFilter):
    title = "life"
    parameter_name = "life"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("live", "Live"),
            ("unconfirmed", "Unconfirmed (only a login made it)"),
            ("unlinked", "Waits for its link"),
            ("deleted", "Deleted"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        live = queryset.filter(deleted_at__isnull=True)
        match self.value():
            case "live":
                return live
            case "unconfirmed":
                return live.filter(confirmed_at__isnull=True)
            case "unlinked":
                return live.filter(identity__isnull=True)
            case "deleted":
                return queryset.filter(deleted_at__isnull=False)
        return queryset


def _meant(rows: QuerySet[Account], text: str) -> list[UUID]:
    """The first of those whom a key means. One condition is one look into one index; by OR they read every account."""
    lower = fold(text)
    live, gone = rows.filter(deleted_at__isnull=True), rows.filter(deleted_at__isnull=False)
    found = _keys(
        rows.filter(pk=as_uuid(text)),
        live.filter(user_name_key=lower),
        live.filter(external_id=text),
        live.filter(subject_value=text).exclude(subject_value=""),
        rows.filter(email_keys__contains=[lower]),
        gone.filter(Q(user_name_key__contains=lower) | Q(external_id=text) | Q(subject_value=text)),
    )
    # A whole e-mail or userName is nobody's part.
    return found if found and "@" in text else found + _keys(live.filter(user_name_key__contains=lower))


def _keys(*every: QuerySet[Account]) -> list[UUID]:
    return [
        key
        for rows in every
        for key in rows.order_by()
        .select_related(None)
        .prefetch_related(None)
        .values_list("pk", flat=True)[: COUNTED_AT_MOST + 1]
    ]


@admin.register(Account)
class AccountPage(LinkingActs, TenantAdmin):
    list_display = ["user_name", "connection", "person", "state", "origin", "external_id", "last_login_at"]
    list_filter = [LifeFilter, "connection", "origin", "active"]
    list_select_related = ("connection", "identity")
    more_lookups = frozenset({"memberships__group__id__exact", "identity__isnull"})
    search_fields = ["user_name_key"]
    search_help_text = "userName, or a whole externalId, e-mail, NameID or id"
    audit_column = "account_id"
    actions_detail = [*LinkingActs.LINKING]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("user_name", "external_id"),
                    ("connection", "person"),
                    ("state_shown", "active"),
                    "requests",
                ]
            },
        ),
        ("Link", {"fields": [("link_rule", "linked_at"), "evidence"]}),
        (
            "Source",
            {
                "fields": [
                    ("origin", "lifecycle_owner", "confirmed_at"),
                    ("created_at", "updated_at", "version"),
                ]
            },
        ),
        ("SAML subject", {"fields": ["subject_value", "subject_format", "subject_issuer", "last_login_at"]}),
        ("What SCIM said", {"fields": ["scim_said"]}),
        ("What the last login said", {"fields": ["login_said"]}),
    ]
    readonly_fields = ["person", "state_shown", "requests", "evidence", "scim_said", "login_said"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return super().get_queryset(request).prefetch_related("findings")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only what can be done with it now."""
        possible = self.linking_acts(self.get_object(request, str(object_id)))
        return [act for act in super().get_actions_detail(request, object_id) if act.path in possible]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Account], search_term: str
    ) -> tuple[QuerySet[Account], bool]:
        text = search_term.replace("\x00", "").strip()
        return (queryset.filter(pk__in=_meant(queryset, text)), False) if text else (queryset, False)

    def find(self, request: HttpRequest, key: str) -> list[Found]:
        """For the search over all pages: accounts that belong to nobody yet; the others are found as their person."""
        waiting = self.get_queryset(request).filter(identity__isnull=True, deleted_at__isnull=True)
        rows, _ = self.get_search_results(request, waiting, key)
        return [
            Found(
                title=account.user_name,
                kind=f"Account of {account.connection}",
                link=self.address_of(account),
                icon="id_card",
                state="Waits for its link",
                good=False,
                answer="Waits for a person to say whose it is",
            )
            for account in rows.select_related("connection")[:FOUND_AT_MOST]
        ]

    @display(description="Identity")
    def person(self, account: Account) -> str:
        if account.identity:
            return link_to(account.identity)
        waiting = next((row for row in account.findings.all() if row.status == Finding.Status.OPEN), None)
        return format_html("Nobody yet: {}", link_to(waiting)) if waiting else "Nobody yet"

    @display(
        description="State",
        label={"active": "success", "inactive": "danger", "deleted": "warning", "unconfirmed": "info"},
    )
    def state(self, account: Account) -> tuple[str, str]:
        return state_of_account(account)

    @display(description="State")
    def state_shown(self, account: Account) -> str:
        return state_of_account(account)[1]

    @display(description="Provisioning log")
    def requests(self, account: Account) -> str:
        return format_html(
            '<a class="hub-link" href="{}?target_id={}">What the directory asked for</a>',
            reverse("admin:provisioning_scimrequest_changelist"),
            account.pk,
        )

    @display(description="Evidence")
    def evidence(self, account: Account) -> str:
        return shown_as_json(account.link_evidence)

    @display(description="Resource")
    def scim_said(self, account: Account) -> str:
        return shown_as_json(account.resource)

    @display(description="Attributes")
    def login_said(self, account: Account) -> str:
        return shown_as_json(account.assertion)
