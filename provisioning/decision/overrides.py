"""What follows when an administrator says what an identity shows. Knows no form, and not who may say so."""

from collections.abc import Collection
from dataclasses import replace

from .answers import accepted, leave_identity, refused
from .authority import OVERRIDABLE, shown_profile
from .effects import needed, showing
from .reasons import Reason
from .situations import Case
from .types import Change, Decision, EndOverride, IdentityFacts, OverrideFacts, Profile, SetOverride


def set_override(case: Case) -> Decision:
    """Of one attribute the newest override counts. Nothing but what is shown follows: no account says anything else."""
    identity = needed(case.identity, "identity")
    override = needed(case.observation.override, "override")
    if override.attribute not in OVERRIDABLE or not override.value:
        return refused(case, Reason.IDENTITY_OVERRIDE_REFUSED, [], attribute=override.attribute)
    said = said_by_sources(identity)
    instead_of = getattr(said, override.attribute)
    replaced = [one for one in identity.overrides if one.attribute == override.attribute]
    set_now = OverrideFacts(
        id=override.id, attribute=override.attribute, value=override.value, instead_of=instead_of
    )
    changes: list[Change] = [
        # First: the database lets an identity have one of each attribute.
        *_ends(identity, replaced),
        SetOverride(
            identity_id=identity.id,
            override=override,
            instead_of=instead_of,
            reason=case.observation.reason,
        ),
        *showing(identity, said, [*_without(identity, replaced), set_now]),
    ]
    return accepted(case, Reason.IDENTITY_OVERRIDDEN, changes, None, identity)


def end_override(case: Case) -> Decision:
    """The identity shows again what its sources say."""
    identity = needed(case.identity, "identity")
    ended = [one for one in identity.overrides if one.id == case.observation.override_id]
    if not ended:
        return leave_identity(case)
    changes: list[Change] = [
        *_ends(identity, ended),
        *showing(identity, said_by_sources(identity), _without(identity, ended)),
    ]
    return accepted(case, Reason.IDENTITY_OVERRIDE_ENDED, changes, None, identity)


def said_by_sources(identity: IdentityFacts) -> Profile:
    """What it would show without any override. Where no account lives to ask, what it showed before them."""
    if identity.accounts:
        return shown_profile(identity.accounts, identity.profile)
    return replace(identity.profile, **{one.attribute: one.instead_of for one in identity.overrides})


def _ends(identity: IdentityFacts, ended: Collection[OverrideFacts]) -> list[Change]:
    return [
        EndOverride(identity_id=identity.id, override_id=one.id, attribute=one.attribute) for one in ended
    ]


def _without(identity: IdentityFacts, ended: Collection[OverrideFacts]) -> list[OverrideFacts]:
    return [one for one in identity.overrides if one not in ended]
