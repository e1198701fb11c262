"""The page of login attempts: a reference from the error page leads to the exact reason. Nobody writes here."""

import re
from collections.abc import Sequence
from datetime import datetime

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from identity_hub.core.ids import as_uuid
from provisioning.admin import parts
from provisioning.admin.base import TenantAdmin, link_to, within_tenant
from provisioning.admin.export import Exported
from provisioning.admin.site import Found
from provisioning.attributes import LABELS
from provisioning.models import AuditValue, Identity, OpenSession
from provisioning.selectors.timeline import meaning

from . import own_keys
from .attribute_card import AttributePart, verdict_rows
from .encryption_card import EncryptionPart
from .errors import message_for
from .metadata_card import MetadataPart
from .models import LoginAttempt
from .trial_admin import TestLoginPage

__all__ = ["LoginAttemptPage", "TestLoginPage", "reference_in"]

parts.register(MetadataPart())
parts.register(EncryptionPart())
parts.register(AttributePart())

_PAIRS = {"signing": "the pair that signs", "other": "the other pair"}
_REFERENCE = re.compile(r"[0-9A-Z]{5}-?[0-9A-Z]{5}")


def reference_in(text: str) -> str | None:
    """The reference that somebody typed or read out: without case, with or without its hyphen, O for 0."""
    letters = text.strip().upper().replace("O", "0").replace("I", "1").replace("L", "1")
    if not _REFERENCE.fullmatch(letters):
        return None
    letters = letters.replace("-", "")
    return f"{letters[:5]}-{letters[5:]}"


def _told(reason: str) -> str:
    """A `saml:` code means what it says; the decision's own codes have a sentence."""
    return (
        meaning(reason)
        if reason.startswith("login:")
        else reason.partition(":")[2].replace("-", " ").capitalize()
    )


def _brought(attempt: LoginAttempt) -> str:
    """What an assertion said instead of what was expected: kept beside the audit, not in the attempt."""
    if attempt.audit_id is None:
        return ""
    beside = AuditValue.objects.filter(tenant_id=attempt.tenant_id, record_id=attempt.audit_id).first()
    return ", ".join(beside.values.get("found", ())) if beside is not None else ""


@admin.register(LoginAttempt)
class LoginAttemptPage(Exported, TenantAdmin):
    list_display = ["at", "reference", "state", "why", "connection", "network"]
    list_display_links = ["at", "reference"]
    paginator = InfinitePaginator
    show_full_result_count = False
    list_filter = ["outcome", "connection"]
    list_select_related = ("connection",)
    more_lookups = frozenset({"reason", "identity_id"})
    search_fields = ["reference"]
    search_help_text = "Reference from the error page, reason code, request id, or the id of an identity"
    fieldsets = [
        (None, {"fields": [("reference", "at"), "outcome", "why", "reason", "details"]}),
        ("The person", {"fields": ["person", "sessions", "read", "attributes"]}),
        ("Where", {"fields": ["connection", ("network", "request_id")]}),
    ]
    readonly_fields = ["why", "details", "person", "sessions", "read", "attributes"]
    export_columns = {
        "at": lambda attempt: attempt.at,
        "reference": lambda attempt: attempt.reference,
        "outcome": lambda attempt: attempt.outcome,
        "reason": lambda attempt: attempt.reason,
        "connection": lambda attempt: attempt.connection,
        "identity": lambda attempt: attempt.identity_id,
        "network": lambda attempt: attempt.network,
        "request_id": lambda attempt: attempt.request_id,
    }

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LoginAttempt], search_term: str
    ) -> tuple[QuerySet[LoginAttempt], bool]:
        text = search_term.replace("\x00", "").strip()
        if not text:
            return queryset, False
        meant = Q(reason=text) | Q(request_id=text)
        if reference := reference_in(text):
            meant |= Q(reference=reference)
        if (key := as_uuid(text)) is not None:
            meant |= Q(identity_id=key) | Q(account_id=key)
        return queryset.filter(meant), False

    @display(description="Outcome", label={"admitted": "success", "refused": "danger"})
    def state(self, attempt: LoginAttempt) -> tuple[str, str]:
        return attempt.outcome, attempt.get_outcome_display()

    @display(description="Why")
    def why(self, attempt: LoginAttempt) -> str:
        return _told(attempt.reason)

    @display(description="What was expected, and what came")
    def details(self, attempt: LoginAttempt) -> str:
        told = dict(attempt.detail)
        if brought := _brought(attempt):
            told["found"] = brought
        rows = format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", sorted(told.items()))
        return format_html('<dl class="hub-facts">{}</dl>', rows) if rows else "—"

    @display(description="What became of the attributes")
    def attributes(self, attempt: LoginAttempt) -> str:
        told = {name: attempt.verdicts[name] for name in LABELS if name in attempt.verdicts}
        if not told:
            return "They were not read"
        return render_to_string("saml_sp/admin/verdicts.html", {"rows": verdict_rows(told)})

    @display(description="Identity")
    def person(self, attempt: LoginAttempt) -> str:
        if attempt.identity_id is None:
            return "Nobody was recognised"
        identity = Identity.objects.filter(tenant_id=attempt.tenant_id, pk=attempt.identity_id).first()
        if identity is None:
            return str(attempt.identity_id)
        return link_to(identity)

    @display(description="Sessions of this person")
    def sessions(self, attempt: LoginAttempt) -> str:
        if attempt.identity_id is None:
            return "—"
        number = OpenSession.objects.filter(
            tenant_id=attempt.tenant_id, identity_id=attempt.identity_id
        ).count()
        if not number:
            return "Not signed in"
        address = reverse("admin:provisioning_opensession_changelist")
        return format_html(
            '<a class="hub-link" href="{}?identity_id={}">{} open</a>', address, attempt.identity_id, number
        )

    @display(description="What the person read")
    def read(self, attempt: LoginAttempt) -> str:
        if attempt.outcome == LoginAttempt.Outcome.ADMITTED:
            return "—"
        message = message_for(attempt.reason)
        return f"{message.title}. {message.sentence}"

    def find(self, request: HttpRequest, key: str) -> list[Found]:
        """For the search over all pages: only a whole reference names an attempt."""
        reference = reference_in(key)
        if reference is None:
            return []
        return [
            Found(
                title=f"Login {attempt.reference}",
                kind=f"{attempt.at:%Y-%m-%d %H:%M} · {_told(attempt.reason)}",
                link=self.address_of(attempt),
                icon="login",
                state=attempt.get_outcome_display(),
                good=attempt.outcome == LoginAttempt.Outcome.ADMITTED,
                answer=_told(attempt.reason),
            )
            for attempt in self.get_queryset(request).filter(reference=reference)
        ]

    def numbers(self, request: HttpRequest, since: datetime) -> list[tuple[str, int, str]]:
        """For the start page: what was turned away before anybody was recognised."""
        rows = LoginAttempt.objects.filter(at__gte=since, outcome=LoginAttempt.Outcome.REFUSED).exclude(
            reason__startswith="login:"
        )
        number = within_tenant(rows, request, "tenant").count()
        link = reverse("admin:saml_sp_loginattempt_changelist") + "?outcome__exact=refused"
        return [("messages not believed", number, link)]

    def notices(self, request: HttpRequest, at: datetime) -> list[str]:
        """For the start page: what concerns every tenant, so that only a superuser can mend it."""
        if not request.user.is_superuser:
            return []
        return [
            f"The hub's own SAML certificate ({_PAIRS[pair]}) {'ends' if end > at else 'ended'} on {end:%Y-%m-%d}. "
            'Change it as docs/operations.md says under "Changing the SAML key".'
            for pair, end in own_keys.ending(at)
        ]

    def get_list_select_related(self, request: HttpRequest) -> Sequence[str]:
        return ("connection", "tenant")
