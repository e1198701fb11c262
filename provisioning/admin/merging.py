"""The pages by which an administrator says that two identities are one person, or two after all."""

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.decorators import action
from unfold.enums import ActionVariant

from identity_hub.core.ids import as_uuid
from provisioning.models import Account, Entitlement, Identity, OpenSession
from provisioning.selectors import merges
from provisioning.selectors.timeline import meaning
from provisioning.services import merging

from .base import actor_of, said, say
from .choosing import accounts, choose, identities
from .forms import ReasonForm
from .states import state_of

COMPARED = (
    ("userName", "user_name"),
    ("E-mail", "email"),
    ("Display name", "display_name"),
    ("Given name", "given_name"),
    ("Family name", "family_name"),
    ("Department", "department"),
    ("Title", "title"),
    ("HR number", "hr_number"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One fact of the one who stays, of the one who ends, and of what stays."""

    name: str
    stays: str
    ends: str
    after: str

    @property
    def changes(self) -> bool:
        return self.after != self.stays


class MergingActs:
    """For the page of `Identity`: merge, unmerge, and the way to another account."""

    MERGING = ("merge", "unmerge", "add_account")

    def merging_acts(self, identity: Identity) -> set[str]:
        if identity.merged_into_id is not None:
            return {"unmerge"}
        if identity.protected:
            return set()
        return {"merge", "add_account"}

    @action(description="Add an account", url_path="add-account", icon="add_link", permissions=["act"])
    def add_account(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        identity: Identity = self._person(request, object_id)
        key = request.GET.get("q", "").strip()
        found = accounts(identity.tenant_id, key, without=identity.pk) if key else None
        return choose(
            self,
            request,
            identity,
            title=f"Which account is {identity}'s, too?",
            lead="An account that waits, or somebody else's. You see what follows before you say why.",
            label="userName, externalId, e-mail or id",
            parameter="account",
            found=found,
            action="../link-account/",
        )

    def link_account_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        """From a person to the page of the account that was chosen, which asks the same from its side."""
        identity: Identity = self._person(request, object_id)
        asked = as_uuid(request.GET.get("account", ""))
        account = Account.objects.filter(tenant_id=identity.tenant_id, pk=asked).first() if asked else None
        if account is None:
            raise Http404
        page = self.admin_site.get_model_admin(Account)
        address = page.address_of(account).removesuffix("change/")
        return HttpResponseRedirect(f"{address}link/?to={identity.pk}")

    @action(description="Merge", url_path="merge", icon="merge", permissions=["act"])
    def merge(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        identity: Identity = self._person(request, object_id)
        asked = request.GET.get("with", "")
        if not asked:
            key = request.GET.get("q", "").strip()
            return choose(
                self,
                request,
                identity,
                title=f"Who is the same person as {identity}?",
                lead="You see both side by side, and what would follow, before anything is written.",
                label="Name, e-mail, userName or id",
                parameter="with",
                found=identities(identity.tenant_id, key, without=[identity.pk]) if key else None,
            )
        other = _of_tenant(identity, asked)
        winner, loser = (other, identity) if request.GET.get("stays") == "other" else (identity, other)
        return _preview(self, request, identity, winner, loser)

    @action(
        description="Take the merge back",
        url_path="unmerge",
        icon="call_split",
        variant=ActionVariant.DANGER,
        permissions=["act"],
    )
    def unmerge(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        identity: Identity = self._person(request, object_id)
        row = merges.of_identity(identity).into
        if row is None:
            raise Http404
        actor = actor_of(request)
        return self.ask_foreseen(  # type: ignore[no-any-return]
            request,
            identity,
            merging.foresee_unmerge(merge=row, actor=actor),
            title=f"{identity} and {row.winner} are two people",
            lead="Each has again what the merge had moved. What came since stays with the one it came to, what has "
            "moved on stays where it is, and a hold that somebody placed since holds both. Both sign in again.",
            submit="Take the merge back",
            danger=True,
            facts=[
                ("Merged", f"{row.merged_at:%Y-%m-%d %H:%M}"),
                ("Because", row.reason or "—"),
                ("Stays", str(row.winner)),
                ("Had moved", f"{len(row.moved['account.identity'])} accounts"),
            ],
            act=lambda data: merging.unmerge(merge=row, reason=data["reason"], actor=actor),
        )


def _of_tenant(identity: Identity, asked: str) -> Identity:
    key = as_uuid(asked)
    rows = Identity.objects.with_state().filter(tenant_id=identity.tenant_id, pk=key)
    found: Identity | None = rows.prefetch_related("holds").first() if key else None
    if found is None:
        raise Http404
    return found


def _preview(
    page: Any, request: HttpRequest, identity: Identity, winner: Identity, loser: Identity
) -> HttpResponse:
    actor = actor_of(request)
    form = ReasonForm(said(request))
    if request.method == "POST" and form.is_valid():
        outcome = merging.merge(winner=winner, loser=loser, reason=form.cleaned_data["reason"], actor=actor)
        say(request, outcome)
        return HttpResponseRedirect(page.address_of(winner))
    preview = merging.foresee(winner=winner, loser=loser, actor=actor)
    other = loser if winner.pk == identity.pk else winner
    turned = "" if winner.pk != identity.pk else "&stays=other"
    return TemplateResponse(
        request,
        "provisioning/admin/merge.html",
        {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            "original": identity,
            "title": f"{winner} and {loser} are one person",
            "winner": winner,
            "loser": loser,
            "lines": _lines(winner, loser, preview),
            "moves": [(name, number) for name, number in preview.moves.items() if number],
            "folded": len(preview.folded),
            "gained": preview.gained,
            "refusal": "" if preview.possible else meaning(preview.decision.reason),
            "turn": f"?with={other.pk}{turned}",
            "form": form,
            "back": page.address_of(identity),
        },
    )


_PROTECTED = {True: "yes", False: "no"}


def _lines(winner: Identity, loser: Identity, preview: merging.Preview) -> list[Line]:
    lines = [
        Line(
            name="May sign in",
            stays=state_of(winner)[1],
            ends=state_of(loser)[1],
            after="Held" if preview.held else "Enabled" if preview.accounted else "No live account",
        )
    ]
    for name, field in COMPARED:
        stays, ends = getattr(winner, field), getattr(loser, field)
        after = preview.shown.get(field, (stays, stays))[1]
        if stays or ends or after:
            lines.append(Line(name=name, stays=stays, ends=ends, after=after))
    if winner.kept_from_runs or loser.kept_from_runs:
        stays, ends = (_PROTECTED[row.kept_from_runs] for row in (winner, loser))
        lines.append(Line(name="Protected from runs", stays=stays, ends=ends, after=stays))
    mine, theirs = _accounts(winner), _accounts(loser)
    gone = set(preview.folded)
    lines.append(
        Line(
            name="Accounts",
            stays=_listed(mine.values()),
            ends=_listed(theirs.values()),
            after=_listed(text for key, text in (mine | theirs).items() if key not in gone),
        )
    )
    held, added = ([str(one) for one in Entitlement.objects.of_identity(row)] for row in (winner, loser))
    if held or added:
        lines.append(
            Line(
                name="Entitlements",
                stays=_listed(held),
                ends=_listed(added),
                after=_listed(dict.fromkeys([*held, *added])),
            )
        )
    here, there = (OpenSession.objects.filter(identity=row).count() for row in (winner, loser))
    if here or there:
        ending = here if loser.holds.all() else 0
        lines.append(Line(name="Sessions", stays=str(here), ends=str(there), after=str(here - ending)))
    return lines


def _accounts(identity: Identity) -> dict[Any, str]:
    rows = Account.objects.filter(
        tenant_id=identity.tenant_id, identity=identity, deleted_at__isnull=True
    ).select_related("connection")
    return {
        row.pk: f"{row.connection}: {row.user_name}" for row in rows.order_by("connection__precedence", "id")
    }


def _listed(names: Any) -> str:
    return "; ".join(names)
