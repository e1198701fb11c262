"""An administrator says what an identity shows as one attribute, for a reason and until a day; and the end of that.

Each is an observation like any other: what an identity shows is decided in one place (`decision.authority`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from provisioning.decision.authority import OVERRIDABLE
from provisioning.decision.types import Actor, Decision, Intent, Observation, Outcome
from provisioning.decision.types import Override as OverrideToSet
from provisioning.formats import Format, cleaned, unprintable
from provisioning.models import Account, Identity, Override

from .invalid import Invalid, needed_reason
from .people import observed, refuse_merged, tenant_of
from .submission import simulate_many, submit, submit_many

LONGEST = timedelta(days=366)
"""What goes on for longer than a year belongs into a source."""
BATCH = 200
SCHEDULE = Actor(kind="schedule")


def override(
    *, identity: Identity, attribute: str, value: str, until: datetime, reason: str, actor: Actor
) -> Outcome:
    """The identity shows this value until then, in place of what its sources say and of an earlier override.

    Raises Invalid without a reason, for an attribute that nobody overrides, an unfit value, an end that is past or more
    than a year away, a person without a live account, and an identity that was merged into another.
    """
    reason = needed_reason(reason, "Say in writing why it is overridden.")
    return submit(
        overriding(
            identity=identity, attribute=attribute, value=value, until=until, reason=reason, actor=actor
        )
    )


def overriding(
    *, identity: Identity, attribute: str, value: str, until: datetime, reason: str, actor: Actor
) -> Observation:
    """The same, as the decision core hears it."""
    if attribute not in OVERRIDABLE:
        raise Invalid("attribute", "This attribute is not an administrator's to override.")
    refuse_merged(identity)
    if not identity.local and not _has_account(identity):
        # The data of somebody whose retention is over was purged, and would not be a second time.
        raise Invalid("identity", "This person has no live account, so nothing is overridden.")
    return observed(
        tenant_id=tenant_of(identity),
        intent=Intent.OVERRIDE,
        identity_id=identity.pk,
        override=OverrideToSet(
            id=new_id(), attribute=attribute, value=_value(attribute, value), until=_end(until, now())
        ),
        reason=reason,
        actor=actor,
    )


def end(*, override: Override, reason: str, actor: Actor) -> Outcome:
    """The identity shows again what its sources say. Raises Invalid without a reason."""
    reason = needed_reason(reason, "Say in writing why the override ends.")
    return submit(_ending(override.tenant_id, override.identity_id, override.pk, reason, actor))


def foresee(*, identity: Identity, attribute: str, value: str, until: datetime, actor: Actor) -> Decision:
    """What `override` would decide now; nothing is written."""
    wanted = overriding(
        identity=identity, attribute=attribute, value=value, until=until, reason="", actor=actor
    )
    ((decision, _),) = simulate_many([wanted])
    return decision


def foresee_end(*, override: Override, actor: Actor) -> Decision:
    ((decision, _),) = simulate_many(
        [_ending(override.tenant_id, override.identity_id, override.pk, "", actor)]
    )
    return decision


def end_due(*, at: datetime) -> int:
    """Ends what has come to its end, in every tenant; answers how many. Each is decided by itself, under its locks."""
    return sum(
        len([outcome for outcome in submit_many(batch) if outcome.accepted])
        for tenant_id in _tenants(at)
        for batch in _due(tenant_id, at)
    )


def _tenants(at: datetime) -> list[UUID]:
    due = Override.objects.filter(ended_at__isnull=True, until__lte=at).order_by("tenant_id")
    return list(due.values_list("tenant_id", flat=True).distinct())


def _due(tenant_id: UUID, at: datetime) -> Iterator[list[Observation]]:
    rows = Override.objects.filter(tenant_id=tenant_id, ended_at__isnull=True, until__lte=at).order_by("id")
    last = None
    while found := list(
        (rows if last is None else rows.filter(id__gt=last)).values_list("id", "identity_id")[:BATCH]
    ):
        last = found[-1][0]
        yield [_ending(tenant_id, identity_id, key, "", SCHEDULE) for key, identity_id in found]


def _ending(tenant_id: UUID, identity_id: UUID, key: UUID, reason: str, actor: Actor) -> Observation:
    return observed(
        tenant_id=tenant_id,
        intent=Intent.END_OVERRIDE,
        identity_id=identity_id,
        override_id=key,
        reason=reason,
        actor=actor,
    )


def _has_account(identity: Identity) -> bool:
    live = Account.objects.filter(tenant_id=identity.tenant_id, identity=identity, deleted_at__isnull=True)
    return live.exists()


def _value(attribute: str, value: str) -> str:
    value = " ".join(value.split())
    if not value:
        # What is wrong is overridden by what is right; to show nothing, the source says nothing.
        raise Invalid("value", "Say what is to be shown.")
    if len(value) > longest(attribute):
        raise Invalid("value", f"At most {longest(attribute)} characters.")
    if unprintable(value):
        raise Invalid("value", "This holds characters that no reader sees as they are.")
    if attribute == "email" and cleaned(value, Format.EMAIL) is None:
        raise Invalid("value", "This is no e-mail address.")
    return value


def longest(attribute: str) -> int:
    """How many characters of it an identity has room for."""
    return int(Identity._meta.get_field(attribute).max_length or 0)


def _end(until: datetime, at: datetime) -> datetime:
    if until <= at:
        raise Invalid("until", "This is past; an override ends later.")
    if until - at > LONGEST:
        raise Invalid("until", "At most a year from now; what stays longer belongs into a source.")
    return until
