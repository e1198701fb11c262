"""What an administrator sees and does about the metadata of a connection's IdP: cards, import, fetch, the decision."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from identity_hub.core.certificates import Certificate
from identity_hub.core.clock import now
from provisioning.admin.base import TenantAdmin, actor_of, said
from provisioning.admin.forms import ReasonField, ReasonForm
from provisioning.admin.parts import Card, View
from provisioning.idp_metadata import Idp
from provisioning.models import Connection
from provisioning.services import metadata as services
from provisioning.services.metadata import Cause, Source, Taken
from provisioning.services.name_ids import NameIds

from . import metadata

FETCHED = {
    Taken.UNCHANGED: (messages.SUCCESS, "Nothing has changed."),
    Taken.TAKEN: (messages.SUCCESS, "The new metadata is in use."),
    Taken.FROZEN: (messages.WARNING, "The connection is frozen: please look at what changed."),
}
_CAUSES = {
    Cause.ENTITY_ID: "It names another entityID.",
    Cause.ALL_KEYS: "None of its keys was known before.",
}


NAME_IDS = [
    (NameIds.KEPT.value, "It is the same directory: people keep their NameIDs"),
    (NameIds.NEW.value, "Its NameIDs are new: people are recognised by externalId or userName"),
]


class ImportForm(forms.Form):
    """Of the three ways to give a document, the first that is used counts."""

    idp_metadata = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        label="Paste the document",
    )
    file = forms.FileField(required=False, widget=UnfoldAdminFileFieldWidget, label="or choose its file")
    metadata_url = forms.CharField(
        required=False,
        max_length=2048,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "url", "placeholder": "https://"}),
        label="or give its address",
    )
    follow = forms.BooleanField(
        required=False,
        initial=True,
        widget=UnfoldBooleanWidget,
        label="Read this address every hour from now on",
    )
    metadata_signing_certificates = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        label="Certificates that sign the document",
        help_text="In PEM form; usually those of a federation. Where there are any, a document that none of them "
        "signed counts for nothing. Empty: its address, or whoever gives it here, is trusted.",
    )
    new_keys_known = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget,
        label="I have compared the new entityID or keys with the identity provider",
        help_text="Needed only where the document may be another identity provider's; then say below how.",
    )
    name_ids = forms.ChoiceField(
        required=False,
        choices=NAME_IDS,
        widget=UnfoldAdminSelectWidget,
        label="With another entityID",
        help_text="Counts only together with the box above.",
    )
    reason = ReasonField()

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if not any(given.get(name) for name in ("idp_metadata", "file", "metadata_url")):
            raise forms.ValidationError("Please paste the document, choose its file or give its address.")
        return given


class DecisionForm(ReasonForm):
    seen = forms.CharField(required=False, widget=forms.HiddenInput)


class ConfirmForm(DecisionForm):
    name_ids = forms.ChoiceField(choices=NAME_IDS, widget=UnfoldAdminSelectWidget, label="Its NameIDs")
    field_order = ["name_ids", "reason"]


def _decision(of: type[DecisionForm], request: HttpRequest, digest: str) -> DecisionForm:
    """The question about this very document. An answer to another one asks again, with this one on the page."""
    answer = said(request)
    if answer is None or answer.get("seen") == digest:
        return of(answer, initial={"seen": digest})
    anew = answer.copy()
    anew["seen"] = digest
    form = of(anew)
    form.add_error(None, services.UNSEEN)
    return form


class MetadataPart:
    def __init__(self) -> None:
        self.views: Mapping[str, View] = {
            "import-metadata": self.take,
            "fetch-metadata": self.fetch,
            "confirm-metadata": self.confirm,
            "reject-metadata": self.reject,
        }

    def cards(self, request: HttpRequest, connection: Connection) -> list[Card]:
        at = now()
        known, proposed = services.known_idp(connection), services.proposed_idp(connection)
        cards = [
            Card(
                template="saml_sp/admin/metadata.html",
                context={"idp": known, "certificates": certificate_rows(known, at)},
            )
        ]
        if proposed is not None:
            why = [_CAUSES[cause] for cause in services.causes(connection, proposed, at)]
            context = {"why": why, "rows": compared(known, proposed)}
            cards.append(Card(template="saml_sp/admin/metadata_waits.html", context=context, urgent=True))
        return cards

    def take(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        def act(data: dict[str, Any]) -> str:
            read = _read(data)
            outcome = metadata.take(
                connection,
                read,
                actor=actor_of(request),
                reason=data["reason"],
                confirmed=data["new_keys_known"],
                name_ids=_name_ids(data),
                url=data["metadata_url"] if data["follow"] else "",
                certificates=data["metadata_signing_certificates"],
            )
            if outcome is Taken.TAKEN and connection.status == Connection.Status.DRAFT:
                return "The metadata is kept. The connection is a draft until its readiness list is met."
            return FETCHED[outcome][1]

        initial = {
            "metadata_url": connection.metadata_url,
            "metadata_signing_certificates": connection.metadata_signing_certificates,
            "follow": bool(connection.metadata_url) or not connection.idp_metadata,
        }
        return page.ask(
            request,
            connection,
            ImportForm(said(request), request.FILES or None, initial=initial),
            title=f"Import the metadata of {connection}",
            lead="The document in which the identity provider publishes its entityID, addresses and certificates.",
            submit="Import it",
            act=act,
        )

    def fetch(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if connection.metadata_url:
            outcome = metadata.refresh(connection, actor=actor_of(request))
            connection.refresh_from_db()
            problem = (messages.ERROR, f"Nothing was taken. {connection.metadata_problem}")
            messages.add_message(request, *(problem if outcome is None else FETCHED[outcome]))
        return HttpResponseRedirect(page.address_of(connection))

    def confirm(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        def act(data: dict[str, Any]) -> str:
            services.confirm(
                connection=connection,
                reason=data["reason"],
                seen=data["seen"],
                actor=actor_of(request),
                name_ids=_name_ids(data),
            )
            return f"{connection} goes by the new metadata, and people can sign in again."

        return self._decide(
            page,
            request,
            connection,
            act,
            confirms=True,
            title="Confirm the new metadata?",
            lead="From then on whoever holds these keys signs people in through this connection. Compare them with the "
            "identity provider's own page, or ask whoever runs it, by another way than the message that told you of "
            "the change.",
            submit="Confirm it",
        )

    def reject(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        def act(data: dict[str, Any]) -> str:
            services.reject(
                connection=connection, reason=data["reason"], seen=data["seen"], actor=actor_of(request)
            )
            return f"The document is thrown away. People sign in through {connection} as before."

        return self._decide(
            page,
            request,
            connection,
            act,
            title="Reject the new metadata?",
            lead="The old metadata stays in use, and people sign in by it again. As long as the address gives this "
            "document, nothing is read from there.",
            submit="Reject it",
        )

    def _decide(
        self,
        page: TenantAdmin,
        request: HttpRequest,
        connection: Connection,
        act: Any,
        *,
        confirms: bool = False,
        **words: str,
    ) -> HttpResponse:
        proposed = services.proposed_idp(connection)
        if proposed is None:
            messages.info(request, "No metadata waits for a decision here.")
            return HttpResponseRedirect(page.address_of(connection))
        facts = [("entityID", proposed.entity_id)]
        facts += [(one.subject, spaced(one.fingerprint)) for one in proposed.certificates]
        form = DecisionForm
        if confirms and (people := services.people_bound(connection, proposed)):
            form = ConfirmForm
            kept = "1 person keeps the same NameID" if people == 1 else f"{people} people keep their NameIDs"
            facts.append(("NameIDs", f"{kept}, unless you say that they are new."))
        return page.ask(
            request,
            connection,
            _decision(form, request, services.proposal_digest(connection)),
            act=act,
            danger=True,
            facts=facts,
            **words,
        )


def _name_ids(data: dict[str, Any]) -> NameIds:
    return NameIds(data.get("name_ids") or NameIds.KEPT)


def _read(data: dict[str, Any]) -> metadata.Read:
    certificates = data["metadata_signing_certificates"]
    if text := data["idp_metadata"]:
        return metadata.from_bytes(text.encode(), certificates, Source(kind="paste"))
    if file := data["file"]:
        # A whole byte more than is allowed is enough to be refused.
        return metadata.from_bytes(file.read(metadata.MAX_BYTES + 1), certificates, Source(kind="file"))
    return metadata.from_address(data["metadata_url"], certificates)


def certificate_rows(idp: Idp | None, at: datetime) -> list[tuple[Certificate, int, str]]:
    """(certificate, days left, badge) each, the last to end first."""
    found = sorted(idp.certificates if idp else (), key=lambda one: one.ends, reverse=True)
    return [(one, (one.ends - at).days, _badge((one.ends - at).days)) for one in found]


def _badge(days: int) -> str:
    if days < 0:
        return "hub-danger"
    return "hub-warning" if days <= 30 else "hub-success"


def compared(known: Idp | None, proposed: Idp) -> list[tuple[str, list[str], list[tuple[str, bool]]]]:
    """(what, the old values, the new ones with whether each was there before)."""
    rows = []
    for label, values in (
        ("entityID", lambda idp: [idp.entity_id]),
        ("Certificates", lambda idp: [*map(_certificate, idp.certificates), *idp.left_out]),
        ("Sign-in", lambda idp: list(dict.fromkeys(idp.sign_in))),
        ("Sign-out", lambda idp: list(dict.fromkeys(idp.sign_out))),
    ):
        old = values(known) if known else []
        rows.append((label, old, [(value, value in old) for value in values(proposed)]))
    return rows


def _certificate(certificate: Certificate) -> str:
    return (
        f"{certificate.subject}, until {certificate.ends:%Y-%m-%d}, SHA-256 {spaced(certificate.fingerprint)}"
    )


def spaced(fingerprint: str) -> str:
    """In pairs, as the pages of identity providers show it."""
    return ":".join(fingerprint[place : place + 2] for place in range(0, len(fingerprint), 2)).upper()
