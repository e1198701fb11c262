"""The pages by which an administrator says what an identity shows, and ends that before its time."""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from identity_hub.core.clock import end_of
from provisioning.models import Identity
from provisioning.selectors.overrides import LABELS, live_of
from provisioning.services import overrides

from .base import actor_of, said
from .forms import ReasonField, ReasonForm


class OverrideForm(ReasonForm):
    attribute = forms.ChoiceField(
        widget=UnfoldAdminSelectWidget,
        choices=list(LABELS.items()),
        help_text="userName and HR number are what sources recognise people by: mend them there.",
    )
    value = forms.CharField(
        max_length=512,
        label="Shown as",
        widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True}),
        help_text="Nobody is recognised by it, and no account says it.",
    )
    until = forms.DateField(
        label="Until the end of",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="At most a year away. Afterwards the sources are shown again.",
    )
    reason = ReasonField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))
    field_order = ["attribute", "value", "until", "reason"]


class OverridingActs:
    """For the page of `Identity`: override an attribute, and end that."""

    @action(
        description="Override an attribute",
        url_path="override",
        icon="edit_attributes",
        permissions=["act"],
    )
    def override(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        identity: Identity = self._person(request, object_id)
        if identity.merged_into_id is not None:
            raise Http404  # whoever stands for it is shown
        asked = request.GET.get("attribute", "")
        live = live_of(identity)
        return self.ask(
            request,
            identity,
            OverrideForm(said(request), initial={"attribute": asked if asked in LABELS else "display_name"}),
            title=f"Override what {identity} shows",
            lead="The hub shows your value whatever the sources say, until the end of the day that you choose. "
            "What the identity providers said stays with the accounts, and is shown again afterwards.",
            submit="Override",
            facts=[
                (label, f"{getattr(identity, name) or '—'}{' (overridden already)' if name in live else ''}")
                for name, label in LABELS.items()
            ],
            act=lambda data: overrides.override(
                identity=identity,
                attribute=data["attribute"],
                value=data["value"],
                until=end_of(data["until"]),
                reason=data["reason"],
                actor=actor_of(request),
            ),
        )

    def end_override_view(self: Any, request: HttpRequest, object_id: str, attribute: str) -> HttpResponse:
        identity: Identity = self._person(request, object_id)
        row = live_of(identity).get(attribute)
        if row is None:
            raise Http404
        return self.ask(
            request,
            identity,
            ReasonForm(said(request)),
            title=f"End the override of {identity}",
            lead="From now on the sources are shown again.",
            submit="End it now",
            facts=[
                (LABELS[attribute], row.value),
                ("Until", f"{row.until:%Y-%m-%d %H:%M}"),
                ("Because", row.reason),
            ],
            act=lambda data: overrides.end(override=row, reason=data["reason"], actor=actor_of(request)),
        )
