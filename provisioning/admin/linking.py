"""The acts on an account's page by which an administrator says whose it is, or whose it is not."""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldBooleanSwitchWidget

from identity_hub.core.ids import as_uuid
from provisioning.decision.reasons import Reason
from provisioning.decision.types import (
    Decision,
    DeleteAccount,
    EndSessions,
    LiftHold,
    LinkAccount,
    MoveHold,
    PlaceHold,
    UpdateIdentity,
    Verdict,
)
from provisioning.models import Account, Identity
from provisioning.services import linking

from .base import actor_of, said
from .choosing import choose, identities
from .forms import ReasonForm


class FoldForm(ReasonForm):
    """The other account of the connection is the same one twice."""

    fold_duplicate = forms.BooleanField(
        widget=UnfoldBooleanSwitchWidget,
        label="They are one account twice",
        help_text="The account that a login made ends; its sign-in moves onto the one that the directory delivered.",
    )
    field_order = ["fold_duplicate", "reason"]


class LinkingActs:
    """For the page of `Account`: link (or relink), unlink, an identity of its own."""

    LINKING = ("link", "unlink", "separate")

    def linking_acts(self, account: Account) -> set[str]:
        """What can be done with it now."""
        if account.deleted_at is not None:
            return set()
        return {"link", "unlink"} if account.identity_id else {"link", "separate"}

    @action(description="Link to an identity", url_path="link", icon="link", permissions=["act"])
    def link(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        account: Account = self.get_object(request, object_id)
        if account.deleted_at is not None:
            raise Http404
        asked = request.GET.get("to", "")
        if not asked:
            key = request.GET.get("q", "").strip()
            return choose(
                self,
                request,
                account,
                title=f"Whose account is {account.user_name}?",
                lead=f"{account.connection} says {account.user_name}. "
                + (
                    f"It belongs to {account.identity} now." if account.identity else "It waits for its link."
                ),
                label="Name, e-mail, userName or id",
                parameter="to",
                found=identities(account.tenant_id, key, without=[account.identity_id]) if key else None,
            )
        identity = Identity.objects.filter(tenant_id=account.tenant_id, pk=as_uuid(asked)).first()
        if identity is None:
            raise Http404
        actor = actor_of(request)
        foreseen = linking.foresee_link(account=account, identity=identity, actor=actor)
        duplicate = foreseen.reason == Reason.ACCOUNT_SAME_CONNECTION
        if duplicate:
            folded = linking.foresee_link(
                account=account, identity=identity, actor=actor, fold_duplicate=True
            )
            duplicate, foreseen = folded.verdict is Verdict.APPLIED, folded
        return self.ask_foreseen(  # type: ignore[no-any-return]
            request,
            account,
            foreseen,
            FoldForm if duplicate else ReasonForm,
            title=f"{account.user_name} is {identity}",
            lead=_lead(account, identity),
            submit="Link" if account.identity_id is None else "Give to the other identity",
            facts=consequences(foreseen, account, identity),
            act=lambda data: linking.link(
                account=account,
                identity=identity,
                reason=data["reason"],
                actor=actor,
                fold_duplicate=data.get("fold_duplicate", False),
            ),
        )

    @action(
        description="Take off its identity",
        url_path="unlink",
        icon="link_off",
        variant=ActionVariant.DANGER,
        permissions=["act"],
    )
    def unlink(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        account: Account = self.get_object(request, object_id)
        if account.deleted_at is not None or account.identity is None:
            raise Http404
        actor = actor_of(request)
        foreseen = linking.foresee_unlink(account=account, actor=actor)
        return self.ask_foreseen(  # type: ignore[no-any-return]
            request,
            account,
            foreseen,
            title=f"{account.user_name} is not {account.identity}",
            lead="The account waits for its link, and nobody signs in by it until you link it or give it an identity "
            "of its own. No rule ties the two together again.",
            submit="Take it off",
            danger=True,
            facts=consequences(foreseen, account, None),
            act=lambda data: linking.unlink(account=account, reason=data["reason"], actor=actor),
        )

    @action(
        description="Give it an identity of its own",
        url_path="separate",
        icon="person_add",
        permissions=["act"],
    )
    def separate(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        account: Account = self.get_object(request, object_id)
        if account.deleted_at is not None or account.identity_id is not None:
            raise Http404
        return self.ask(  # type: ignore[no-any-return]
            request,
            account,
            ReasonForm(said(request)),
            title=f"{account.user_name} is nobody whom the hub knows",
            lead="The account becomes a person of its own, with no privilege but what mapped groups give.",
            submit="Make the identity",
            act=lambda data: linking.separate(
                account=account, reason=data["reason"], actor=actor_of(request)
            ),
        )


def _lead(account: Account, identity: Identity) -> str:
    if account.identity is None:
        return f"{account.connection} may sign {identity} in by this account from now on."
    return (
        f"The account leaves {account.identity}, and {account.connection} may sign {identity} in by it. No rule ties "
        "it to the identity that it leaves again."
    )


def consequences(decision: Decision, account: Account, identity: Identity | None) -> list[tuple[str, str]]:
    """What an act would do, one line for each thing, in the order in which an administrator wonders."""
    names = {row.pk: str(row) for row in (account.identity, identity) if row is not None}
    told: list[tuple[str, str]] = []
    for change in decision.changes:
        match change:
            case LinkAccount():
                told.append(("Account", f"belongs to {names.get(change.identity_id, 'the identity')}"))
            case DeleteAccount():
                told.append(
                    ("Duplicate", "the login's account ends; its sign-in and groups move to the other")
                )
            case MoveHold():
                told.append(("Hold", f"{change.kind} goes along: {names.get(change.identity_id)} is held"))
            case PlaceHold():
                told.append(("Hold", f"{change.kind} is placed on {names.get(change.identity_id)}"))
            case LiftHold():
                told.append(("Hold", f"{change.kind} no longer rests on {names.get(change.identity_id)}"))
            case UpdateIdentity():
                told.append(("Profile", f"{names.get(change.identity_id)} shows other values"))
            case EndSessions():
                told.append(("Sessions", f"those of {names.get(change.identity_id)} end"))
    return list(dict.fromkeys(told))
