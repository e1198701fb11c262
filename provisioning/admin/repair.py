"""What a person decides about a run item by item: to take part of it, before, and to take it back, after."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget

from provisioning import reconciliation
from provisioning.decision.types import Actor
from provisioning.models import ReconciliationItem, ReconciliationRun
from provisioning.reconciliation import Choice
from provisioning.selectors.timeline import actor_names, meaning
from provisioning.services import undo
from provisioning.services.configuration import Invalid

from .base import TenantAdmin, actor_of, said, say_refusal
from .forms import ReasonForm

PAGE = 50
CHOSEN, DESTRUCTIVE, EVERYTHING = "chosen", "destructive", "everything"

Status = ReconciliationRun.Status
ItemStatus = ReconciliationItem.Status

_TAKEN_BACK = {
    "LiftHold": "The hold is lifted",
    "PlaceHold": "The hold is placed again",
    "EndSessions": "Sessions end",
    "UnlinkAccount": "The account waits for its link again",
    "KeepApart": "No rule links it to this person again",
    "DeleteAccount": "The account becomes a tombstone",
    "UpdateAccount": "The account says again what it said",
    "UpdateIdentity": "The person is shown so again",
    "WithdrawFinding": "The finding is withdrawn",
    "AddMember": "The membership comes back",
}


class WhichForm(ReasonForm):
    which = forms.ChoiceField(widget=UnfoldAdminSelectWidget, label="Which items")
    field_order = ["which", "reason"]

    def __init__(self, *arguments: Any, choices: Sequence[tuple[str, str]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["which"].choices = choices  # type: ignore[attr-defined]
        self.order_fields(self.field_order)


class RepairPages(TenantAdmin):
    """The actions of a run's page about some of its items."""

    @action(description="Take part of it", url_path="take-part", icon="checklist", permissions=["act"])
    def take_part(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run: ReconciliationRun = self.get_object(request, object_id)
        rows = ReconciliationItem.objects.filter(
            tenant_id=run.tenant_id, run=run, status__in=[ItemStatus.PLANNED, ItemStatus.LEFT_OUT]
        )
        form = WhichForm(said(request), choices=_parts_of(rows), initial={"which": CHOSEN})
        if request.method == "POST" and form.is_valid():
            turn = reconciliation.take_in if "take_in" in request.POST else reconciliation.leave_out
            choice = _choice(form.cleaned_data["which"], _chosen(request))
            try:
                number = turn(run, choice, actor_of(request), form.cleaned_data["reason"])
            except Invalid as refusal:
                say_refusal(form, refusal)
            else:
                done = "taken in again" if turn is reconciliation.take_in else "left out"
                if number:
                    messages.success(request, f"{number} item{'s' * (number != 1)} {done}.")
                else:
                    messages.warning(request, "Nothing was changed: none of these items can be.")
                return HttpResponseRedirect(request.get_full_path())
        # What takes access away first: that is what one leaves out.
        listed = _page(request, rows.order_by("-destructive", "id"))
        lines = [
            {
                "item": item,
                "sentence": meaning(item.reason),
                "told": [item.situation.capitalize()] if item.situation else [],
                "badge": "hub-warning" if item.status == ItemStatus.LEFT_OUT else "",
                "selectable": True,
            }
            for item in listed["items"]
        ]
        return self._choose(
            request,
            run,
            form,
            title=f"Take part of the run of {run.connection}",
            lead="Leave out what shall not be done, then release or execute the rest on the run's page. What is left "
            "out stays out of the next runs too, until somebody takes it in again.",
            lines=lines,
            buttons=[("leave_out", "Leave out", "hub-primary"), ("take_in", "Take in again", "")],
            facts=[
                ("Planned", rows.filter(status=ItemStatus.PLANNED).count()),
                ("Of them lose access", run.destructive),
                ("Left out", rows.filter(status=ItemStatus.LEFT_OUT).count()),
            ],
            listed=listed,
        )

    @action(
        description="Undo",
        url_path="undo",
        icon="undo",
        variant=ActionVariant.DANGER,
        permissions=["act"],
    )
    def undo(self, request: HttpRequest, object_id: str) -> HttpResponse:
        run: ReconciliationRun = self.get_object(request, object_id)
        rows = undo.items_of(run)
        number = rows.count()
        choices = [
            (CHOSEN, "The chosen items below"),
            (EVERYTHING, f"Everything that it did ({number})"),
        ]
        form = WhichForm(said(request), choices=choices, initial={"which": CHOSEN})
        if request.method == "POST" and form.is_valid():
            chosen = None if form.cleaned_data["which"] == EVERYTHING else _chosen(request)
            try:
                wanted = undo.order(
                    run, actor=actor_of(request), reason=form.cleaned_data["reason"], items=chosen
                )
            except Invalid as refusal:
                say_refusal(form, refusal)
            else:
                messages.success(
                    request,
                    f"A worker takes back {wanted} item{'s' * (wanted != 1)}. Reload the run's page to see how far.",
                )
                return HttpResponseRedirect(self.address_of(run))
        listed = _page(request, rows)
        return self._choose(
            request,
            run,
            form,
            title=f"Undo the run of {run.connection}",
            lead="Each item is decided again: what something newer has touched is left alone. Sessions that the run "
            "ended stay ended, and people sign in again. Mend the cause too: the next run may find it again.",
            lines=_foreseen(run, listed["items"]),
            buttons=[("undo", "Undo", "hub-red")],
            facts=[
                ("Can be undone until", _until(run)),
                ("Items that it did", number),
                ("Taken back so far", run.items.filter(status=ItemStatus.UNDONE).count()),
            ],
            listed=listed,
        )

    def _choose(
        self, request: HttpRequest, run: ReconciliationRun, form: forms.Form, *, title: str, **shown: Any
    ) -> HttpResponse:
        return TemplateResponse(
            request,
            "provisioning/admin/choose_items.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": run,
                "title": title,
                "form": form,
                "chosen": _chosen(request),
                "back": self.address_of(run),
                **shown,
            },
        )

    def repairs_of(self, run: ReconciliationRun) -> dict[str, Any]:
        """What a run's page tells of them."""
        rows = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run)
        signatures = {run.released_by, run.second_released_by, run.undo_ordered_by} - {""}
        names = actor_names({Actor.who_signed(one) for one in signatures}, run.tenant_id)
        named = {one: names[Actor.who_signed(one)] for one in signatures}
        refused = rows.filter(status=ItemStatus.APPLIED).exclude(undo_refusal="").order_by()
        return {
            "released_by": named.get(run.released_by, ""),
            "lapsed": reconciliation.lapsed(run),
            "second_released_by": named.get(run.second_released_by, ""),
            "undo_ordered_by": named.get(run.undo_ordered_by, ""),
            "left_out": rows.filter(status=ItemStatus.LEFT_OUT).count(),
            "to_undo": rows.filter(undo_wanted=True).count(),
            "undone": rows.filter(status=ItemStatus.UNDONE).count(),
            "not_undone": [
                (meaning(code), number)
                for code, number in refused.values_list("undo_refusal").annotate(number=Count("pk"))
            ],
        }


def _parts_of(rows: QuerySet[ReconciliationItem]) -> list[tuple[str, str]]:
    """What may be chosen at once: (value, words)."""
    parts = [
        (CHOSEN, "The chosen items below"),
        (DESTRUCTIVE, f"All that take access away ({rows.filter(destructive=True).count()})"),
    ]
    for column, words in (("reason", meaning), ("situation", str.capitalize)):
        counted = rows.exclude(**{column: ""}).order_by().values_list(column).annotate(number=Count("pk"))
        parts += [
            (f"{column}={value}", f"All with this {column}: {words(value)} ({number})")
            for value, number in sorted(counted)
        ]
    return parts


def _choice(which: str, chosen: Sequence[int]) -> Choice:
    if which == CHOSEN:
        return Choice(items=chosen)
    if which == DESTRUCTIVE:
        return Choice(destructive=True)
    column, _, value = which.partition("=")
    return Choice(reasons=[value]) if column == "reason" else Choice(situations=[value])


def _chosen(request: HttpRequest) -> list[int]:
    """Ids that a page may post; whatever is none of the run's does nothing."""
    return [int(text) for text in request.POST.getlist("item") if _is_key(text)][: 10 * PAGE]


def _is_key(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _page(request: HttpRequest, rows: QuerySet[ReconciliationItem]) -> dict[str, Any]:
    text = request.GET.get("page", "1")
    number = max(int(text), 1) if text.isascii() and text.isdigit() and len(text) <= 6 else 1
    start = (number - 1) * PAGE
    items = list(rows.select_related("account", "identity")[start : start + PAGE + 1])
    return {
        "items": items[:PAGE],
        "before": number - 1 if number > 1 else None,
        "after": number + 1 if len(items) > PAGE else None,
    }


def _foreseen(run: ReconciliationRun, items: Sequence[ReconciliationItem]) -> list[Mapping[str, Any]]:
    """What an undo of each would change, or who keeps it from that."""
    prospects = undo.preview(run, items)
    actors = {
        prospect.item.pk: Actor(kind=prospect.newer.actor_kind, id=prospect.newer.actor_id)
        for prospect in prospects
        if prospect.newer is not None
    }
    names = actor_names(set(actors.values()), run.tenant_id)
    lines: list[Mapping[str, Any]] = []
    for prospect in prospects:
        told = list(_words(prospect.changes))
        if prospect.newer is not None:
            who = names[actors[prospect.item.pk]]
            told = [f"{meaning(prospect.newer.reason)} {who}, {prospect.newer.at:%Y-%m-%d %H:%M}"]
        lines.append(
            {
                "item": prospect.item,
                "sentence": meaning(prospect.item.reason),
                "told": told if prospect.possible else [meaning(prospect.reason), *told],
                "badge": "" if prospect.possible else "hub-warning",
                "selectable": prospect.possible,
            }
        )
    return lines


def _until(run: ReconciliationRun) -> str:
    """A run that was stopped and went on has done its items at different times, and each has its own term."""
    ends = undo.kept_until(run)
    if ends is None:
        return "—"
    first, last = (f"{end:%Y-%m-%d %H:%M}" for end in ends)
    return last if first == last else f"{last}, its first items until {first}"


def _words(changes: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for change in changes:
        what = _TAKEN_BACK.get(change["change"], change["change"])
        kind = change.get("kind") or ", ".join(change.get("attributes", ()))
        yield f"{what}: {kind}" if kind else what
