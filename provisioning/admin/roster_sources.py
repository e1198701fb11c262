"""The part of a connection's page about listing its people: where, by which credential, what came of it."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from provisioning.fingerprints import FIELDS
from provisioning.models import Connection, RosterSource
from provisioning.roster import Page, Unreadable
from provisioning.roster.mapping import LABELS, checked
from provisioning.services import pulls, roster_sources
from provisioning.sources import Away
from provisioning.sources.kinds import KINDS

from . import parts
from .base import TenantAdmin, actor_of, said
from .forms import LinesField, ReasonField, ReasonForm
from .parts import Card, View

SHOWN = 20


class SecretWidget(UnfoldAdminTextareaWidget):
    """Takes a credential and never shows one, not even in the form that comes back for another field's sake."""

    def format_value(self, value: object) -> str:
        return ""


class SourceForm(forms.Form):
    kind = forms.ChoiceField(
        choices=RosterSource.Kind.choices, widget=UnfoldAdminSelectWidget, label="Directory"
    )
    base_address = forms.CharField(
        required=False,
        max_length=1024,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "url", "placeholder": "https://"}),
        label="Address",
        help_text="SCIM: the base URL, as in https://idp.example/scim/v2. Google and Microsoft: empty, unless it is a "
        "national cloud.",
    )
    token_address = forms.CharField(
        required=False,
        max_length=1024,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "url", "placeholder": "https://"}),
        label="Token address",
        help_text="Microsoft: https://login.microsoftonline.com/TENANT-ID/oauth2/v2.0/token. SCIM: only for OAuth "
        "client credentials. Google: empty.",
    )
    client_id = forms.CharField(
        required=False,
        max_length=256,
        widget=UnfoldAdminTextInputWidget,
        label="Client ID",
        help_text="Microsoft: the application's. SCIM: only together with a token address. Google: stands in the key.",
    )
    subject = forms.CharField(
        required=False,
        max_length=256,
        widget=UnfoldAdminTextInputWidget,
        label="Administrator",
        help_text="Google only: the e-mail of an administrator who may read users; the service account speaks for her.",
    )
    secret = forms.CharField(
        required=False,
        max_length=roster_sources.LONGEST_SECRET,
        widget=SecretWidget(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        label="Credential",
        help_text="The bearer token, the client secret, or the whole JSON file of the service account's key. Kept "
        "sealed, never shown again. Empty: the one that is there stays.",
    )
    chosen = forms.CharField(
        required=False,
        max_length=1024,
        widget=UnfoldAdminTextInputWidget,
        label="Only these people",
        help_text="Empty: all. SCIM: a filter. Google: a query, as in orgUnitPath='/Staff'. Microsoft: the object ID "
        "of a group. Whoever is not listed counts as gone.",
    )
    mapping = LinesField(
        required=False,
        max_length=600,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6}),
        label="Mapping",
        help_text=f"One a line: attribute = column. Empty: the usual one. Attributes: {', '.join(LABELS)}.",
    )
    scheduled = forms.BooleanField(
        required=False, widget=UnfoldBooleanWidget, label="List them every night, before the run"
    )
    reason = ReasonField()

    def clean_mapping(self) -> dict[str, str]:
        found = {}
        for line in self.cleaned_data["mapping"]:
            attribute, mark, column = line.partition("=")
            if not mark:
                raise forms.ValidationError(f"{line!r} is not of the form attribute = column.")
            found[attribute.strip()] = column.strip()
        return found


class RosterSourcePart:
    def __init__(self) -> None:
        self.views: Mapping[str, View] = {
            "roster-source": self.change,
            "roster-source-test": self.test,
            "roster-source-pull": self.pull,
            "roster-source-remove": self.remove,
        }

    def cards(self, request: HttpRequest, connection: Connection) -> list[Card]:
        context = {"source": roster_sources.source_of(connection)}
        return [Card(template="provisioning/admin/roster_source.html", context=context)]

    def change(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        source = roster_sources.source_of(connection)

        def act(data: dict[str, Any]) -> str:
            fields = {name: data[name] for name in roster_sources.FIELDS}
            roster_sources.keep_source(
                connection=connection,
                actor=actor_of(request),
                fields=fields,
                secret=data["secret"],
                reason=data["reason"],
            )
            return "It is kept. Fetch the first page to see what the mapping makes of it."

        response = page.ask(
            request,
            connection,
            SourceForm(said(request), initial=_initial(source)),
            title=f"List the people of {connection}",
            lead="The hub asks the identity provider who exists, and compares that with what was pushed. What is read "
            "and which permission it takes stands in docs/reconciliation.md.",
            submit="Keep it",
            act=act,
        )
        response["Cache-Control"] = "no-store"
        return response

    def test(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        source = roster_sources.source_of(connection)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if source is None:
            return HttpResponseRedirect(page.address_of(connection))
        try:
            listed = pulls.first_page(source)
        except (Unreadable, Away) as error:
            messages.error(request, f"The first page could not be fetched. {error}")
            return HttpResponseRedirect(page.address_of(connection))
        response = TemplateResponse(
            request,
            "provisioning/admin/roster_page.html",
            {
                **page.admin_site.each_context(request),
                "opts": page.opts,
                "original": connection,
                "title": f"The first page of the people of {connection}",
                "back": page.address_of(connection),
                **_shown(source, listed),
            },
        )
        response["Cache-Control"] = "no-store"
        return response

    def pull(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        source = roster_sources.source_of(connection)
        if source is None:
            return HttpResponseRedirect(page.address_of(connection))

        def act(data: dict[str, Any]) -> str:
            pulls.order(source, actor_of(request), data["reason"])
            return "A worker lists its people now."

        return page.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"List the people of {connection} now?",
            lead="A worker asks the identity provider who exists, as it does at night where that is wanted. Nobody is "
            "changed by that: the next run goes by it.",
            submit="List them",
            act=act,
        )

    def remove(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        source = roster_sources.source_of(connection)
        if source is None:
            return HttpResponseRedirect(page.address_of(connection))

        def act(data: dict[str, Any]) -> str:
            roster_sources.remove_source(source=source, actor=actor_of(request), reason=data["reason"])
            return "The hub lists its people no longer. The credential is gone."

        return page.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"Stop listing the people of {connection}?",
            lead="The credential is forgotten. What was listed so far stays.",
            submit="Stop it",
            danger=True,
            act=act,
        )


def _initial(source: RosterSource | None) -> dict[str, Any]:
    if source is None:
        return {}
    said = {name: getattr(source, name) for name in roster_sources.FIELDS}
    usual = dict(KINDS[source.kind].mapping)
    lines = [] if source.mapping == usual else [f"{name} = {path}" for name, path in _in_order(source)]
    return {**said, "mapping": lines}


def _shown(source: RosterSource, page: Page) -> dict[str, Any]:
    places = checked(source.mapping).places
    return {
        "heads": [LABELS[FIELDS[place]] for place in places],
        "people": [(line, [values[place] for place in places]) for line, values in page.rows[:SHOWN]],
        "on_page": len(page.rows) + len(page.faults),
        "total": page.total,
        "faults": page.faults[:SHOWN],
        "columns": [(LABELS[name], path) for name, path in _in_order(source)],
    }


def _in_order(source: RosterSource) -> list[tuple[str, str]]:
    """The mapping as it came in; the database keeps no order."""
    return list(checked(source.mapping).columns.items())


parts.register(RosterSourcePart())
