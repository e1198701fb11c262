"""Observation -> locks -> what is known -> decision -> changes, audit and outbox, in one transaction.

Knows the order of these steps and how to lose a race well; what should change is `decision`'s matter.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import IntegrityError, OperationalError, transaction
from django.db import connection as database

from identity_hub.core.collector import uncollected
from identity_hub.core.ids import new_id
from identity_hub.core.pipeline import together
from provisioning import audit, outbox, sql
from provisioning.apply import apply, says_more
from provisioning.decision.brakes import switches_off
from provisioning.decision.decide import decide
from provisioning.decision.keys import fold, lock_keys, name_key
from provisioning.decision.policy import Switch
from provisioning.decision.reasons import Reason
from provisioning.decision.types import (
    Channel,
    CreateAccount,
    Decision,
    DeleteAccount,
    EndOverride,
    EndSessions,
    Intent,
    Known,
    LiftCarried,
    LiftHold,
    LinkAccount,
    MergeIdentities,
    MoveHold,
    Observation,
    Outcome,
    PlaceHold,
    SetOverride,
    UnlinkAccount,
    UnmergeIdentities,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
    Written,
)
from provisioning.digests import lock_number, lock_numbers
from provisioning.load import Loaded, load

from . import switches, turns

FEW_KEYS = 200
"""So many may be locked in any case. A batch of more takes the tenant's lock alone where PostgreSQL's lock table is too
small for them: a stock one ends at 6,400, for everybody together."""

MANY = 100
"""Observations of a batch for which Python's search for cycles would look at too much."""

AT_ONCE = 32
"""How many batches the lock table shall have room for."""

PUSH_RESOLUTION = timedelta(minutes=1)
WORD_RESOLUTION = timedelta(minutes=5)
ATTEMPTS = 3
# Serialization failure, deadlock detected, lock table full.
_LOST_RACES = frozenset({"40001", "40P01", "53200"})

T = TypeVar("T")
Key = tuple[str, ...]
"""What `decision.keys.lock_keys` names."""


def submit(observation: Observation) -> Outcome:
    """`submit_many` of one."""
    return submit_many([observation])[0]


def submit_within(observation: Observation) -> Outcome:
    """`submit` inside the caller's `retrying`, whose transaction also decides a lost race again."""
    return _submit(observation.tenant_id, [_with_ids(observation)])[0]


def submit_many_within(observations: Sequence[Observation]) -> list[Outcome]:
    """`submit_many` inside the caller's `retrying`."""
    return _submit(observations[0].tenant_id, [_with_ids(o) for o in observations]) if observations else []


def submit_many(observations: Sequence[Observation]) -> list[Outcome]:
    """Decides and applies observations of one tenant; answers their outcomes in the same order.

    Every outcome is its own: a refusal neither undoes nor stops the others, and its audit row commits with
    theirs. STALE means that the account changed since the writer read it, and that nothing was written.
    Raises `django.db.OperationalError` when the database is away.
    """
    if not observations:
        return []
    tenant_id = observations[0].tenant_id
    if any(o.tenant_id != tenant_id for o in observations):
        raise ValueError("a batch belongs to one tenant")
    batch = [_with_ids(o) for o in observations]
    if len(batch) <= MANY:
        return retrying(lambda: _submit(tenant_id, batch))
    with uncollected():
        return retrying(lambda: _submit(tenant_id, batch))


def simulate_many(observations: Sequence[Observation]) -> list[tuple[Decision, Loaded]]:
    """What `submit_many` would decide now, and the facts it would go by. Takes no lock and writes nothing."""
    if not observations:
        return []
    with uncollected():
        batch = [_with_ids(o) for o in observations]
        loaded = load(batch[0].tenant_id, batch, lock=False)
        return [(_decide(o, loaded)[1], loaded) for o in batch]


def simulate_in_turn(
    observations: Sequence[Observation], let_go: Collection[Key] = ()
) -> list[tuple[Decision, Loaded]]:
    """`simulate_many`, each as if those before it had been carried out as far as names and keys are concerned.

    `let_go` are those that were let go of before the first one.
    """
    if not observations:
        return []
    with uncollected():
        batch = [_with_ids(o) for o in observations]
        loaded = load(batch[0].tenant_id, batch, lock=False)
        loaded.forget(let_go)
        foreseen = []
        for one in batch:
            decision = _decide(one, loaded)[1]
            loaded.forget(frees(decision, loaded))
            foreseen.append((decision, loaded))
        return foreseen


def retrying(work: Callable[[], T]) -> T:
    """Runs one transaction, again when it lost a race that PostgreSQL settled by refusing it, or was out of turn."""
    return turns.in_turn(lambda: _retrying(work))


def _retrying(work: Callable[[], T]) -> T:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(), together():
                turns.wait()
                return work()
        except (IntegrityError, OperationalError) as error:
            lost = isinstance(error, IntegrityError) or _state(error) in _LOST_RACES
            if not lost or attempt == ATTEMPTS or database.in_atomic_block:
                raise
    raise AssertionError("unreachable")


def _state(error: Exception) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""


def take_locks(tenant_id: UUID, keys: set[Key], *, alone: bool) -> None:
    """Transaction-level advisory locks: they protect also what does not exist yet, which row locks cannot.

    The tenant's lock comes first, shared (or, `alone`, exclusive and then the only one), then the keys in order.
    """
    numbers = [lock_number(tenant_id, ("tenant",))]
    first = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    if not alone:
        numbers += sorted(lock_numbers(tenant_id, keys))
    sql.execute(
        f"SELECT CASE WHEN n = 1 THEN {first}(k) ELSE pg_advisory_xact_lock(k) END "  # noqa: S608 - a name
        "FROM unnest(%s::bigint[]) WITH ORDINALITY AS t (k, n)",
        ("{" + ",".join(map(str, numbers)) + "}",),
    )


def lock_all(tenant_id: UUID, keys: set[Key]) -> None:
    """`take_locks` of so many keys, or of the tenant where they are too many."""
    take_locks(tenant_id, keys, alone=len(keys) > FEW_KEYS and len(keys) > _most_keys())


@lru_cache(maxsize=1)
def _most_keys() -> int:
    ((slots,),) = sql.rows(
        "SELECT current_setting('max_locks_per_transaction')::int"
        " * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)"
    )
    return int(slots) // AT_ONCE


MAKING = frozenset({Intent.CREATE, Intent.AUTHENTICATE})
"""Nothing else makes an account or an identity."""


def _with_ids(observation: Observation) -> Observation:
    if observation.intent not in MAKING:
        return observation
    if observation.new_account_id is not None and observation.new_identity_id is not None:
        return observation
    return replace(
        observation,
        new_account_id=observation.new_account_id or new_id(),
        new_identity_id=observation.new_identity_id or new_id(),
    )


@dataclass(slots=True)
class _Pending:
    position: int
    observation: Observation
    keys: frozenset[Key]


class _Settled(NamedTuple):
    """What was asked, as it was decided: the intent may have become another one."""

    item: _Pending
    observation: Observation
    decision: Decision


def _submit(tenant_id: UUID, batch: Sequence[Observation]) -> list[Outcome]:
    pending = [_Pending(n, o, lock_keys(o)) for n, o in enumerate(batch)]
    lock_all(tenant_id, {key for item in pending for key in item.keys})
    outcomes: dict[int, Outcome] = {}
    idle = 0
    while pending:
        now, rest = _apart(pending)
        later = _settle(tenant_id, now, outcomes)
        idle = idle + 1 if len(later) == len(now) else 0
        if idle == ATTEMPTS:
            raise IntegrityError("a key is refused by the database that no rule knows of")
        pending = sorted([*later, *rest], key=lambda item: item.position)
    return [outcomes[n] for n in range(len(batch))]


def _apart(pending: Sequence[_Pending]) -> tuple[list[_Pending], list[_Pending]]:
    """(those that share no key, so one loading serves them all; the rest, which must see their effect)."""
    taken: set[Key] = set()
    now: list[_Pending] = []
    later: list[_Pending] = []
    for item in pending:
        (now if taken.isdisjoint(item.keys) else later).append(item)
        taken |= item.keys
    return now, later


def _settle(tenant_id: UUID, items: Sequence[_Pending], outcomes: dict[int, Outcome]) -> list[_Pending]:
    """Decides and applies what can be decided on one loading; answers what must be decided again."""
    # A login always leaves a row; of everything else nobody knows yet.
    logins = all(item.observation.intent is Intent.AUTHENTICATE for item in items)
    ids = audit.take_ids(len(items)) if logins else list
    loaded = load(tenant_id, [item.observation for item in items])
    _note_push(tenant_id, items, loaded)
    settled: list[_Settled] = []
    again: list[_Pending] = []
    touched: set[UUID] = set()
    freed: set[Key] = set()
    put_off: set[UUID] = set()
    for item in items:
        observation, decision, known = _decide(item.observation, loaded)
        whom = _touches(decision, known)
        depends = touched & whom or decision.account_id in touched or freed & item.keys
        if depends or (put_off and put_off & _answering(known)):
            again.append(item)
            put_off |= _answering(known)
            continue
        touched |= whom
        freed |= {name_key(key[-1]) if key[0] == "user_name" else key for key in frees(decision, loaded)}
        _count_deactivation(observation, decision, loaded)
        settled.append(_Settled(item, observation, decision))

    lost, messages = apply([(one.observation, one.decision) for one in settled], loaded)
    kept = [one for n, one in enumerate(settled) if n not in lost]
    again += [one.item for n, one in enumerate(settled) if n in lost]
    audited = [one for one in kept if _is_worth_a_row(one.observation, one.decision)]
    rows = audit.write_decisions(
        [(one.observation, one.decision, loaded.digests[id(one.item.observation)]) for one in audited],
        loaded.accounts,
        loaded.identities,
        ids(),
    )
    outbox.enqueue(messages)
    _note_word(tenant_id, kept, loaded)
    _trip(tenant_id, kept, loaded)
    told = {one.item.position: row for one, row in zip(audited, rows, strict=True)}
    for item, observation, decision in kept:
        outcomes[item.position] = _outcome(
            observation, decision, loaded, *told.get(item.position, (None, ()))
        )
    return again


def _decide(observation: Observation, loaded: Loaded) -> tuple[Observation, Decision, Known]:
    known = loaded.known(observation)
    addressed = known.addressed
    if (
        observation.channel is Channel.SCIM
        and observation.intent is Intent.UPDATE
        and addressed is not None
        and observation.active is not None
        and observation.active != addressed.active
    ):
        intent = Intent.ENABLE if observation.active else Intent.DISABLE
        observation = replace(observation, intent=intent)
    return observation, decide(known, observation, loaded.policy(observation)), known


def _count_deactivation(observation: Observation, decision: Decision, loaded: Loaded) -> None:
    """The next decision of this batch knows of it; what committed before is counted with the policy.

    Attack: very many at once, none of which has committed when the others count. So here one waits for the other.
    """
    where = observation.connection_id
    if observation.channel is not Channel.SCIM or where is None:
        return
    if loaded.policy(observation).deactivations_left is not None and switches_off(decision):
        turns.need(observation.tenant_id, "deactivations", str(where))
        loaded.switched_off[where] += 1


def _trip(tenant_id: UUID, kept: Sequence[_Settled], loaded: Loaded) -> None:
    """Strict mode: the first deactivation beyond the number stops all that follow."""
    stopped = {
        one.observation.connection_id: one.observation.at
        for one in kept
        if one.decision.reason == Reason.ACCOUNT_DEACTIVATION_STOPPED
        and Switch.DEACTIVATIONS not in loaded.policy(one.observation).stopped
        and one.observation.connection_id is not None
    }
    if stopped:
        switches.trip(tenant_id=tenant_id, connection_ids=stopped, at=max(stopped.values()))


def _touches(decision: Decision, known: Known) -> set[UUID]:
    """Identities and accounts that a decision changes: a second decision on one must see the first one's effect."""
    touched: set[UUID] = set()
    for change in decision.changes:
        match change:
            case (
                UpdateIdentity()
                | EndSessions()
                | LinkAccount()
                | UnlinkAccount()
                | PlaceHold()
                | LiftHold()
                | MoveHold()
                | SetOverride()
                | EndOverride()
            ):
                touched.add(change.identity_id)
            case MergeIdentities() | UnmergeIdentities():
                touched |= {change.identity_id, change.former_identity_id}
            case UpdateAccount() | LiftCarried():
                touched.add(change.account_id)
            case CreateAccount(identity_id=UUID() as identity_id) if identity_id in known.identities:
                touched.add(identity_id)
    return touched


def _answering(known: Known) -> set[UUID]:
    """Accounts that an observation may be about, or whose name or key it says."""
    found = (
        known.addressed,
        known.by_external_id,
        known.by_asserted_key,
        known.by_subject,
        known.by_user_name,
    )
    return {facts.id for facts in found if facts is not None}


def frees(decision: Decision, loaded: Loaded) -> set[Key]:
    """Names and keys that a decision lets go of: whoever asks for one after it finds it free."""
    freed: set[Key] = set()
    for change in decision.changes:
        # A tuple: the union of two types is made anew each time.
        if not isinstance(change, (UpdateAccount, DeleteAccount)):
            continue
        before = loaded.accounts[change.account_id]
        connection = str(before.connection_id)
        user_name, external_id = "", None
        if isinstance(change, UpdateAccount):
            user_name, external_id = change.user_name, change.external_id
        if fold(user_name) != fold(before.user_name):
            freed.add(("user_name", connection, fold(before.user_name)))
        if before.external_id and external_id != before.external_id:
            freed.add(("external_id", connection, before.external_id))
    return freed


def _is_worth_a_row(observation: Observation, decision: Decision) -> bool:
    """A write that changed nothing leaves no row; a login always does."""
    if decision.verdict is Verdict.STALE:
        return False
    return decision.verdict is not Verdict.UNCHANGED or observation.intent is Intent.AUTHENTICATE


def _outcome(
    observation: Observation,
    decision: Decision,
    loaded: Loaded,
    audit_id: int | None,
    told: Sequence[Mapping[str, Any]],
) -> Outcome:
    written = _written(observation, decision, loaded)
    return Outcome(
        verdict=decision.verdict,
        situation=decision.situation,
        reason=decision.reason,
        account_id=decision.account_id,
        identity_id=decision.identity_id,
        created=any(isinstance(change, CreateAccount) for change in decision.changes),
        version=written.version if written is not None else None,
        audit_id=audit_id,
        written=written,
        detail=decision.detail,
        told=told,
    )


def _written(observation: Observation, decision: Decision, loaded: Loaded) -> Written | None:
    facts = loaded.accounts.get(decision.account_id) if decision.account_id else None
    found = None
    if facts is not None:
        found = Written(
            version=facts.version,
            active=facts.active,
            resource=facts.resource,
            created_at=facts.created_at,
            updated_at=facts.updated_at or facts.created_at,
        )
    for change in decision.changes:
        match change:
            case CreateAccount():
                found = Written(
                    version=1,
                    active=change.active,
                    resource=change.resource,
                    created_at=observation.at,
                    updated_at=observation.at,
                )
            case UpdateAccount() if facts is not None and says_more(change, facts):
                found = Written(
                    version=facts.version + 1,
                    active=change.active,
                    resource=change.resource,
                    created_at=facts.created_at,
                    updated_at=observation.at,
                )
            case DeleteAccount():
                found = None
    return found


def _note_push(tenant_id: UUID, items: Sequence[_Pending], loaded: Loaded) -> None:
    """Keeps each connection's last push, to the minute, so that a silent IdP is noticed."""
    pushes = {
        item.observation.connection_id: item.observation.at
        for item in items
        if item.observation.channel is Channel.SCIM and item.observation.connection_id is not None
    }
    for connection_id, at in pushes.items():
        last = loaded.rules.last_push.get(connection_id)
        if last is None or at - last >= PUSH_RESOLUTION:
            sql.execute(
                "UPDATE provisioning_connection SET last_push_at = %s, first_push_at = coalesce(first_push_at, %s)"
                " WHERE tenant_id = %s AND id = %s",
                (at, at, tenant_id, connection_id),
            )


def _note_word(tenant_id: UUID, kept: Sequence[_Settled], loaded: Loaded) -> None:
    """Keeps when SCIM last said what an account says already, so that no older roster overrules it."""
    spoken: dict[UUID, datetime] = {}
    for _, observation, decision in kept:
        facts = loaded.accounts.get(decision.account_id) if decision.account_id else None
        if (
            facts is not None
            and observation.channel is Channel.SCIM
            and observation.intent is not Intent.DELETE
            and decision.verdict in (Verdict.APPLIED, Verdict.UNCHANGED)
            and observation.at - facts.speaks_of >= WORD_RESOLUTION
            and not any(isinstance(one, UpdateAccount) and says_more(one, facts) for one in decision.changes)
        ):
            spoken[facts.id] = observation.at
    if spoken:
        sql.execute(
            "UPDATE provisioning_account SET spoken_at = %s WHERE tenant_id = %s AND id = ANY(%s::uuid[])",
            (max(spoken.values()), tenant_id, sorted(spoken)),
        )
