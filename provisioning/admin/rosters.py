"""The pages about rosters: upload a listing, say which column is what, see what became of it and why."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
)

from identity_hub.core.clock import now
from provisioning.decision.reasons import Flaw
from provisioning.fingerprints import FIELDS
from provisioning.models import Connection, Roster
from provisioning.roster import Fault
from provisioning.roster.files import Sample
from provisioning.roster.mapping import ATTRIBUTES, LABELS
from provisioning.roster.text import ENCODINGS
from provisioning.selectors import rosters as stored
from provisioning.selectors.timeline import meaning
from provisioning.services import roster_files, rosters
from provisioning.services.invalid import Invalid
from provisioning.services.roster_files import Preview

from .base import TenantAdmin, actor_of, said, say_refusal
from .forms import ReasonField, ReasonForm
from .parts import Card, View, register

Status = Roster.Status
ON_CARD = 5

_SIGNS = {
    "draft": "warning",
    "loading": "info",
    "complete": "success",
    "refused": "danger",
    "superseded": "info",
}


class UploadForm(forms.Form):
    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        label="File",
        help_text="CSV or JSON Lines, one person a line, everybody who exists. Nothing is loaded before you have seen "
        "what it means.",
    )
    as_of = forms.SplitDateTimeField(
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget,
        label="Exported at (UTC)",
        help_text="When the export began: what was pushed later is newer than the file. Empty: now.",
    )
    expected = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}),
        label="Number of people",
        help_text="If you know how many there must be: with fewer the file counts as cut off. "
        "A file whose last line has no end needs it.",
    )
    encoding = forms.ChoiceField(
        required=False,
        choices=[("", "Detect it"), *((name, name) for name in ENCODINGS)],
        widget=UnfoldAdminSelectWidget,
        label="Encoding",
    )
    delimiter = forms.ChoiceField(
        required=False,
        choices=[("", "Detect it"), (",", "Comma"), (";", "Semicolon"), ("\t", "Tab"), ("|", "Bar")],
        widget=UnfoldAdminSelectWidget,
        label="Separator",
    )
    reason = ReasonField()


class MappingForm(forms.Form):
    """One choice of a column for each attribute."""

    def __init__(self, sample: Sample, mapping: Mapping[str, str], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        choices = [("", "—"), *((name, name) for name in dict.fromkeys(sample.columns) if name)]
        for attribute in ATTRIBUTES:
            self.fields[attribute] = forms.ChoiceField(
                required=False,
                choices=choices,
                initial=mapping.get(attribute, ""),
                label=LABELS[attribute],
                widget=UnfoldAdminSelectWidget,
            )
        # Looking at the rows again changes nothing; `take` asks.
        self.fields["reason"] = ReasonField(required=False)

    @property
    def mapping(self) -> dict[str, str]:
        given = self.cleaned_data if self.is_bound else {n: f.initial for n, f in self.fields.items()}
        return {attribute: given[attribute] for attribute in ATTRIBUTES if given.get(attribute)}


class RosterPart:
    """The card and the upload on a connection's page."""

    def __init__(self) -> None:
        self.views: Mapping[str, View] = {"upload-roster": self.upload}

    def cards(self, request: HttpRequest, connection: Connection) -> list[Card]:
        rows = Roster.objects.filter(tenant_id=connection.tenant_id, connection=connection)
        newest = stored.newest_complete(connection.tenant_id, connection.pk)
        return [
            Card(
                template="provisioning/admin/rosters_card.html",
                context={
                    "rows": [(row, _SIGNS[row.status]) for row in rows[:ON_CARD]],
                    "newest": newest,
                },
            )
        ]

    def upload(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        def act(data: dict[str, Any]) -> HttpResponse:
            roster = roster_files.keep(
                connection=connection,
                pieces=data["file"].chunks(),
                name=data["file"].name,
                as_of=data["as_of"],
                expected=data["expected"],
                options={name: data[name] for name in ("encoding", "delimiter") if data[name]},
                actor=actor_of(request),
                reason=data["reason"],
            )
            return HttpResponseRedirect(reverse("admin:provisioning_roster_map", args=[roster.pk]))

        return page.ask(
            request,
            connection,
            UploadForm(said(request), request.FILES or None),
            title=f"Upload a roster of {connection}",
            lead="A roster is a complete listing of the people of this identity provider. Whoever is missing from two "
            "of them, twelve hours or more apart, loses access with the next run.",
            submit="Look at it",
            act=act,
        )


register(RosterPart())


@admin.register(Roster)
class RosterPage(TenantAdmin):
    list_display = ["roster", "connection", "state", "source", "people", "wrong", "because", "name"]
    list_filter = ["status", "source", "connection"]
    list_select_related = ("connection",)
    search_fields = ["name", "code"]
    change_form_template = "provisioning/admin/roster.html"
    actions_detail = ["map", "accept", "discard"]

    @display(description="As of", ordering="as_of")
    def roster(self, roster: Roster) -> datetime:
        return roster.as_of

    @display(description="Status", ordering="status", label=_SIGNS)
    def state(self, roster: Roster) -> tuple[str, str]:
        return roster.status, roster.get_status_display()

    @display(description="People", ordering="row_count")
    def people(self, roster: Roster) -> int:
        return roster.row_count

    @display(description="Faults", ordering="fault_count")
    def wrong(self, roster: Roster) -> int:
        return roster.fault_count

    @display(description="Because", ordering="code")
    def because(self, roster: Roster) -> str:
        return meaning(roster.code) if roster.code else "—"

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """A roster offers what its status allows."""
        roster = self.get_object(request, str(object_id))
        allowed = {"map", "discard"} if roster.status == Status.DRAFT else set()
        if rosters.acceptable(roster, now()):
            allowed = {"accept"}
        return [act for act in super().get_actions_detail(request, object_id) if act.path in allowed]

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        roster = self.get_object(request, object_id)
        return {
            "sign": _SIGNS[roster.status],
            "faults": [
                (fault["line"], fault["column"], meaning(fault["code"]), fault["code"])
                for fault in roster.faults
            ],
            "mapped": [(LABELS[name], roster.mapping[name]) for name in ATTRIBUTES if name in roster.mapping],
            "counts": roster.status == Status.COMPLETE,
            "shrunk": roster.code == Flaw.SHRUNK,
        }

    @action(
        description="Map and load",
        url_path="map",
        icon="table_view",
        variant=ActionVariant.PRIMARY,
        permissions=["act"],
    )
    def map(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The second step: which column is what, and what that makes of the first rows."""
        roster = self.get_object(request, object_id)
        if roster.status != Status.DRAFT:
            messages.info(request, "This file has been taken already.")
            return HttpResponseRedirect(self.address_of(roster))
        try:
            sample = roster_files.sample_of(roster)
        except Invalid as refusal:
            messages.error(request, refusal.message)
            return HttpResponseRedirect(self.address_of(roster))
        form = MappingForm(sample, roster.mapping, said(request))
        preview: Preview | None = None
        if not form.is_bound or form.is_valid():
            try:
                preview = roster_files.preview(sample, form.mapping)
                if "take" in request.POST:
                    roster_files.take(
                        roster=roster,
                        mapping=form.mapping,
                        actor=actor_of(request),
                        reason=form.cleaned_data["reason"],
                    )
                    messages.success(
                        request, "A worker loads the roster. Reload this page to see how far it is."
                    )
                    return HttpResponseRedirect(self.address_of(roster))
            except Invalid as refusal:
                if form.is_bound:
                    say_refusal(form, refusal)
        return TemplateResponse(
            request,
            "provisioning/admin/roster_map.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": roster,
                "title": f"What {roster.name or 'the file'} says",
                "form": form,
                "layout": sample.layout,
                "back": self.address_of(roster),
                **(_shown(roster, preview) if preview else {}),
            },
        )

    @action(description="Accept it", url_path="accept", icon="check", permissions=["act"])
    def accept(self, request: HttpRequest, object_id: str) -> HttpResponse:
        roster = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            accepted = rosters.accept_shrinking(roster=roster, reason=data["reason"], actor=actor_of(request))
            if accepted.status == Status.COMPLETE:
                return "Accepted: the next run goes by it."
            return f"Your word is kept, and yet it stays refused. {accepted.note}"

        newest = stored.newest_complete(roster.tenant_id, roster.connection_id)
        return self.ask(
            request,
            roster,
            ReasonForm(said(request)),
            title="Accept a roster that is much shorter than the last one?",
            lead="Whoever is missing from it is missing once. Whoever is missing from one twelve hours later, too, "
            "loses access.",
            submit="Accept it",
            danger=True,
            facts=[
                ("It has", f"{roster.row_count} people"),
                ("The last one", f"{newest.row_count} people" if newest else "—"),
            ],
            act=act,
        )

    @action(description="Throw away", url_path="discard", icon="delete", permissions=["act"])
    def discard(self, request: HttpRequest, object_id: str) -> HttpResponse:
        roster = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            roster_files.discard(roster=roster, reason=data["reason"], actor=actor_of(request))
            return "Thrown away. Nothing was read from it."

        return self.ask(
            request,
            roster,
            ReasonForm(said(request)),
            title="Throw the uploaded file away?",
            lead="Nothing has been loaded from it.",
            submit="Throw it away",
            act=act,
            back=reverse("admin:provisioning_roster_changelist"),
        )


def _shown(roster: Roster, preview: Preview) -> dict[str, Any]:
    """The first rows as the hub would read them, and whom of them it knows."""
    names = [name for name in FIELDS if name in preview.mapping.fields]
    rows = [
        {"line": line, "fault": meaning(read.code), "column": read.column}
        if isinstance(read, Fault)
        else {
            "line": line,
            "values": [_word(value) for name, value in zip(FIELDS, read, strict=True) if name in names],
        }
        for line, read in preview.rows
    ]
    keys = [(read[0], read[1]) for _, read in preview.rows if not isinstance(read, Fault)]
    return {
        "heads": [LABELS[name] for name in names],
        "rows": rows,
        "bad": sum("fault" in row for row in rows),
        "met": stored.met(roster.connection, keys),
    }


def _word(value: str | bool) -> str:
    return value if isinstance(value, str) else "yes" if value else "no"
