"""Deciding or assigning many findings of the list at once, with one reason. Knows no remedy of a single kind."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.decorators import action

from provisioning.decision.types import Verdict
from provisioning.models import Finding, Identity
from provisioning.services import findings, remedies
from provisioning.services.invalid import Invalid

from .base import actor_of
from .forms import ReasonForm

AT_MOST = 200
"""Each is decided by itself, and a request should not take longer than a person waits."""


TAKE = "take"
"""No remedy: whoever asks becomes the owner."""


class ManyForm(ReasonForm):
    """The selection comes along from the list, so that it is decided about what was ticked."""

    chosen = forms.CharField(widget=forms.HiddenInput)


class ManyFindings:
    """For the list of findings."""

    MANY = ("settle_many", "dismiss_many", "take_many")

    @action(description="Dealt with", permissions=["act"])
    def settle_many(self, request: HttpRequest, queryset: QuerySet[Finding]) -> HttpResponse | None:
        return self._ask(
            request,
            queryset,
            "settled",
            "Nothing else changes. What is still so in three months is asked again.",
        )

    @action(description="Not a case", permissions=["act"])
    def dismiss_many(self, request: HttpRequest, queryset: QuerySet[Finding]) -> HttpResponse | None:
        return self._ask(request, queryset, "dismiss", "Nothing else changes, and none is ever asked again.")

    @action(description="I see to it", permissions=["act"])
    def take_many(self, request: HttpRequest, queryset: QuerySet[Finding]) -> HttpResponse | None:
        return self._ask(request, queryset, TAKE, "You become the owner of each; nothing else changes.")

    def _ask(
        self: Any, request: HttpRequest, queryset: QuerySet[Finding], name: str, lead: str
    ) -> HttpResponse | None:
        chosen = _open(queryset)
        if not chosen:
            messages.error(request, "None of them is open any more.")
            return None
        form = ManyForm(request.POST if "chosen" in request.POST else None, initial={"chosen": "yes"})
        if form.is_valid():
            done = _decide(chosen, name, form.cleaned_data["reason"], request)
            left = len(chosen) - done
            told, rest = (
                (f"You see to {done} findings.", "only an administrator of their tenant can own.")
                if name == TAKE
                else (f"{done} findings are decided.", "ask for more: open them.")
            )
            messages.success(request, f"{told} {left} {rest}" if left else told)
            return HttpResponseRedirect(request.get_full_path())
        return TemplateResponse(
            request,
            "provisioning/admin/ask_many.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"{'See to' if name == TAKE else 'Decide'} {len(chosen)} findings at once",
                "lead": lead,
                "form": form,
                "submit": "See to them" if name == TAKE else "Decide them",
                "back": request.get_full_path(),
                "action": request.POST["action"],
                "field": ACTION_CHECKBOX_NAME,
                "rows": [finding.pk for finding in chosen],
            },
        )


def _open(queryset: QuerySet[Finding]) -> list[Finding]:
    rows = queryset.filter(status=Finding.Status.OPEN).select_related("account", "identity", "connection")
    return list(rows[:AT_MOST])


def _decide(chosen: list[Finding], name: str, reason: str, request: HttpRequest) -> int:
    """How many had such a remedy; the others ask for an answer of their own."""
    actor = actor_of(request)
    owner = Identity.objects.filter(pk=request.user.pk).first()
    done = 0
    for finding in chosen:
        try:
            if name == TAKE:
                outcome = findings.assign(finding=finding, owner=owner, reason=reason, actor=actor)
            else:
                outcome = remedies.carry_out(finding=finding, name=name, reason=reason, actor=actor)
        except Invalid:
            continue
        done += outcome.verdict is Verdict.APPLIED
    return done
