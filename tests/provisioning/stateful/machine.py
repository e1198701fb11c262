"""Every event that the hub knows, in any order, at two tenants with three connections each; the model beside it.

Knows how an event is said to the hub and to the model. What must come of it is the model's matter, and the laws'.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import time_machine
from django.db import connection, transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from identity_hub.core.clock import now
from provisioning import reconciliation, sql
from provisioning.decision.authority import ENTERPRISE_USER
from provisioning.decision.types import (
    PERSISTENT,
    HoldKind,
    Intent,
    Outcome,
    Verdict,
)
from provisioning.fingerprints import FIELDS
from provisioning.models import Account as StoredAccount
from provisioning.models import (
    Connection,
    Finding,
    Hold,
    Identity,
    Merge,
    Override,
    ReconciliationItem,
    ReconciliationRun,
    Roster,
    Tenant,
)
from provisioning.roster import Page
from provisioning.selectors.invariants import LAWS, violations
from provisioning.selectors.rosters import APART
from provisioning.services import (
    configuration,
    findings,
    linking,
    merging,
    overrides,
    people,
    rosters,
    submit,
)
from provisioning.services import undo as undoing
from provisioning.services.groups import submit_group
from provisioning.services.retention import purge_deleted, trim_sessions
from provisioning.tasks import delivery
from tests.scim.clients import Idp

from ..cast import OPERATOR, House, asserted, extend, pushed, session_of, user
from ..services.test_groups import group
from .model import Account, Listing, Login, Model, Push, Row, Scene, Source

EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
CHEAP = (
    "session:of-the-enabled",
    "hold:of-its-source",
    "hold:of-the-inactive",
    "account:inactive-holds",
    "account:deleted-holds",
    "membership:of-the-living",
    "account:says-what-it-is-found-by",
    "override:shown",
)
# One statement that is planned once: these are asked after every event.
BROKEN = " UNION ALL ".join(
    f"SELECT '{law.name}', id::text, beside::text FROM ({law.query}) AS found (id, beside)"  # noqa: S608 - laws
    for law in LAWS
    if law.name in CHEAP
)

names = st.sampled_from(["ada", "ada", "Ada", "bob", "cleo", "straße", "strasse"])
keys = st.sampled_from([None, "k1", "k1", "k2", "k3", "n1"])
subjects = st.sampled_from(["n1", "n1", "n2", "k1", "k2"])
emails = st.sampled_from(
    ["ada@{domain}", "ada@{domain}", "bob@{domain}", "desk@{domain}", "ada@mail.example"]
)
hr_numbers = st.sampled_from(["", "", "7", "8"])
actives = st.sampled_from([None, True, True, False])
which = st.integers(0, 5)
places = st.integers(0, 5)
doors = st.sampled_from(["service", "service", "http"])

PUSHES: dict[str, Any] = {
    "place": places,
    "door": doors,
    "name": names,
    "key": keys,
    "active": actives,
    "email": emails,
    "hr_number": hr_numbers,
}
LOGINS: dict[str, Any] = {
    "place": places,
    "name": names,
    "subject": subjects,
    "persistent": st.booleans(),
    "named": st.booleans(),
    "key": st.sampled_from([None, None, "k1", "k2"]),
    "email": emails,
}


Event = tuple[str, dict[str, Any]]
LISTED = st.dictionaries(names, st.tuples(keys, actives), min_size=1, max_size=4)
ages = st.sampled_from([0, 0, 0, 0.5, 13])
choices = st.sampled_from(["release", "release", "leave out", "reject"])
events = st.one_of(
    st.tuples(st.just("post"), st.fixed_dictionaries(PUSHES)),
    st.tuples(
        st.just("put"), st.fixed_dictionaries({"who": which} | {k: PUSHES[k] for k in PUSHES if k != "place"})
    ),
    st.tuples(
        st.just("switch"), st.fixed_dictionaries({"who": which, "door": doors, "active": st.booleans()})
    ),
    st.tuples(st.just("delete"), st.fixed_dictionaries({"who": which, "door": doors})),
    st.tuples(st.just("sign_in"), st.fixed_dictionaries(LOGINS)),
    st.tuples(st.just("hold"), st.fixed_dictionaries({"who": which, "kind": st.just(HoldKind.ADMIN)})),
    st.tuples(
        st.just("lift"),
        st.fixed_dictionaries({"who": which, "kind": st.sampled_from([HoldKind.ADMIN, HoldKind.SCIM])}),
    ),
)
nights = st.just([]) | st.lists(events, max_size=3)
AGAIN = st.fixed_dictionaries(
    {
        "hours": st.sampled_from([1, 11, 13]),
        "before": nights,
        "age": st.sampled_from([0, 0.5]),
        "night": nights,
    }
)


@dataclass(frozen=True, kw_only=True)
class Place:
    house: House
    source: Source

    @property
    def idp(self) -> Idp:
        return Idp(where=self.house)


CAREFUL = {"run_few": 0, "run_share": 0}


def build() -> list[Place]:
    """The world before anybody came: what a connection may do differs from one to the next."""
    made = []
    for slug in ("acme", "globex"):
        tenant = configuration.create_tenant(
            slug=slug, name=slug.title(), domains=[f"{slug}.example"], actor=OPERATOR, reason="As agreed"
        )
        for name, options in (
            # Of the one a person looks at each run that takes access from anybody, of the other at none.
            ("Main", {"jit": "create", "trusted_hr_number": True} | (CAREFUL if slug == "globex" else {})),
            ("Second", {"jit": "create", "jit_approval": True, "trusted_email": True}),
            ("Logins", {"jit": "existing" if slug == "acme" else "create", "scim_enabled": slug == "acme"}),
        ):
            house = extend(tenant, name, **options)
            made.append(
                Place(
                    house=house,
                    source=Source(
                        id=house.connection.pk,
                        tenant=tenant.pk,
                        domain=f"{slug}.example",
                        jit=options["jit"],
                        approval=bool(options.get("jit_approval")),
                        pushes=bool(options.get("scim_enabled", True)),
                        emails=bool(options.get("trusted_email")),
                        numbers=bool(options.get("trusted_hr_number")),
                    ),
                )
            )
        configuration.create_local_identity(
            login_name=f"root-{slug}",
            password="correct horse battery",
            tenant=tenant,
            break_glass=True,
            actor=OPERATOR,
            reason="As agreed",
        )
    return made


class Hub(RuleBasedStateMachine):
    """`world` is what `build` made, in a transaction that every story goes back to."""

    world: list[Place] = []

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.savepoint()
        self.clock = time_machine.travel(BEGIN, tick=False)
        self.time = self.clock.start()
        self.model = Model()
        for local in Identity.objects.filter(local=True):
            self.model.strangers[local.pk] = (local.tenant_id, set())

    def teardown(self) -> None:
        try:
            # What the schedule does every few minutes.
            overrides.end_due(at=now())
            for tenant in Tenant.objects.all():
                assert [_told(one) for one in violations(tenant_id=tenant.pk, at=now())] == []
        finally:
            self.clock.stop()
            transaction.savepoint_rollback(self.savepoint)

    @initialize(
        pushes=st.lists(st.fixed_dictionaries(PUSHES), min_size=2, max_size=4),
        logins=st.lists(st.fixed_dictionaries(LOGINS), min_size=1, max_size=3),
    )
    def come(self, pushes: list[dict[str, Any]], logins: list[dict[str, Any]]) -> None:
        """Most of what may happen happens to somebody."""
        for one in pushes:
            self.post(**one)
        for one in logins:
            self.sign_in(**one)

    # What SCIM says.

    @rule(**PUSHES)
    def post(
        self,
        place: int,
        door: str,
        name: str,
        key: str | None,
        active: bool | None,
        email: str,
        hr_number: str,
    ) -> None:
        where, at = self._place(place), self._tick()
        if not where.source.pushes:
            return
        document, push = _said(where, name, key, active, email, hr_number)
        expected = self.model.answer_to_post(where.source, push)
        if door == "http":
            answer = where.idp.post("/Users", document)
            accepted = answer.status_code == 201
            assert accepted or answer.status_code == 409, answer.content
            account_id = UUID(answer.json()["id"]) if accepted else None
        else:
            outcome = submit(pushed(where.house, Intent.CREATE, document, at=at))
            accepted, account_id = outcome.accepted, outcome.account_id
        assert accepted is (expected != "refused"), expected
        if isinstance(expected, Account):
            assert account_id == expected.id
            push.active = active is not False
            self.model.write(expected, push, at, keeps_key=True)
            self._suspect(expected)
        elif account_id and expected == "new":
            new = Account(
                id=account_id,
                source=where.source,
                identity=self._identity(account_id),
                name=name,
                key=key,
                active=active is not False,
                confirmed=True,
                made=at,
                spoken=at,
            )
            new.says(push.emails, hr_number)
            self.model.issue(new, returning=True)

    @precondition(lambda self: self.model.accounts)
    @rule(
        who=which,
        place=places,
        key=keys,
        shares=st.sampled_from(["email", "number", "both"]),
        alike=st.sampled_from([False, False, True]),
        returns=st.booleans(),
    )
    def come_elsewhere(
        self, who: int, place: int, key: str | None, shares: str, alike: bool, returns: bool
    ) -> None:
        """Another connection, or this one again, pushes somebody who says the same of herself; she goes, perhaps, and
        comes again under another key."""
        account = self._account(who)
        if account is None:
            return
        numbers = sorted(trait[1] for trait in account.strong if trait[0] == "hr")
        said: dict[str, Any] = {
            "place": place % 3 + self._number(account) // 3 * 3,
            "door": "service",
            "name": _lookalike(account.name) if alike else account.name,
            "active": True,
            "email": min(account.emails) if account.emails and shares != "number" else "nobody@{domain}",
            "hr_number": numbers[0] if numbers and shares != "email" else "",
        }
        known = set(self.model.accounts)
        self.post(key=key, **said)
        if returns and set(self.model.accounts) - known:
            self.delete(who=0, door="service")
            self.post(key="k4", **said)

    @precondition(lambda self: self.model.accounts)
    @rule(who=which, door=doors, name=names, key=keys, active=actives, email=emails, hr_number=hr_numbers)
    def put(
        self, who: int, door: str, name: str, key: str | None, active: bool | None, email: str, hr_number: str
    ) -> None:
        account = self._account(who)
        at = self._tick()
        if account is None or not account.source.pushes:
            return
        where = self._of(account)
        document, push = _said(where, name, key, active, email, hr_number)
        over_http = door == "http"
        if over_http:
            # Row 20: what a PUT leaves out stays.
            push.key = push.key or account.key
        expected = self.model.answer_to_write(account, push)
        if over_http:
            answer = where.idp.put(f"/Users/{account.id}", document)
            accepted = answer.status_code == 200
            assert accepted or answer.status_code in (404, 409), answer.content
        else:
            accepted = submit(
                pushed(where.house, Intent.UPDATE, document, account_id=account.id, at=at)
            ).accepted
        assert accepted is (expected != "refused")
        if accepted:
            self.model.write(account, push, at, keeps_key=False)
            self._suspect(account)

    @precondition(lambda self: self.model.accounts)
    @rule(who=which, door=doors, active=st.booleans())
    def switch(self, who: int, door: str, active: bool) -> None:
        """PATCH active."""
        account = self._account(who)
        at = self._tick()
        if account is None or not account.source.pushes:
            return
        where = self._of(account)
        if door == "http":
            answer = where.idp.patch(
                f"/Users/{account.id}", {"op": "Replace", "path": "active", "value": active}
            )
            accepted = answer.status_code in (200, 204)
            assert accepted or answer.status_code == 404, answer.content
        else:
            intent = Intent.ENABLE if active else Intent.DISABLE
            accepted = submit(
                pushed(where.house, intent, account_id=account.id, active=active, at=at)
            ).accepted
        assert accepted is (account.gone is None)
        if accepted:
            self.model.write(account, Push(name="", active=active), at, keeps_key=True)
            self._suspect(account)

    @precondition(lambda self: self.model.accounts)
    @rule(who=which, door=doors)
    def delete(self, who: int, door: str) -> None:
        account = self._account(who)
        at = self._tick()
        if account is None or not account.source.pushes:
            return
        where = self._of(account)
        if door == "http":
            status = where.idp.delete(f"/Users/{account.id}").status_code
            accepted = status == 204
            assert accepted or status == 404
        else:
            accepted = submit(pushed(where.house, Intent.DELETE, account_id=account.id, at=at)).accepted
        assert accepted is (account.gone is None)
        if accepted:
            self.model.delete(account, at)
            self._suspect(account)

    @precondition(lambda self: self.model.accounts)
    @rule(place=places, members=st.lists(which, max_size=3), number=st.integers(0, 1))
    def gather(self, place: int, members: list[int], number: int) -> None:
        """A group's whole membership, live accounts or not."""
        where = self._place(place)
        self._tick()
        chosen = {account.id for who in members if (account := self._account(who))}
        known = {a.id for a in self.model.living(where.source)}
        mine = [g for g, _ in self.model.members.items() if g in self._groups.get(where.source.id, ())]
        said: dict[str, Any] = {"add": tuple(sorted(chosen)), "replace_members": True}
        if number < len(mine):
            outcome = submit_group(group(where.house, Intent.UPDATE, group_id=mine[number], **said))
        else:
            outcome = submit_group(group(where.house, Intent.CREATE, display_name="Staff", **said))
        assert outcome.accepted is (chosen <= known)
        if outcome.accepted and outcome.account_id:
            self._groups.setdefault(where.source.id, set()).add(outcome.account_id)
            self.model.members[outcome.account_id] = chosen

    # What a login says.

    @rule(**LOGINS)
    def sign_in(
        self, place: int, name: str, subject: str, persistent: bool, named: bool, key: str | None, email: str
    ) -> None:
        """`named`: the connection says which attribute carries the userName, so that it is looked for."""
        where, at = self._place(place), self._tick()
        login = Login(
            name=name,
            email=email.format(domain=where.source.domain),
            subject=subject if persistent else None,
            key=key,
            names=(name,) if named or not persistent else (),
        )
        expected = self.model.answer_to_login(where.source, login)
        outcome = submit(
            asserted(
                where.house,
                subject if persistent else name,
                format=PERSISTENT if persistent else EMAIL_FORMAT,
                user_name=name,
                external_id=key,
                email=login.email,
                login_names=login.names,
                at=at,
            )
        )
        admitted = outcome.accepted
        if isinstance(expected, Account):
            identity = expected.identity
            may = identity is not None and self.model.enabled(identity)
            assert admitted is may, outcome.reason
            assert not admitted or outcome.account_id == expected.id
            if admitted:
                self.model.admit(expected, login, at)
        elif expected == "refused":
            assert outcome.verdict is Verdict.REFUSED, outcome.reason
        else:
            self._first_login(where.source, login, outcome, at)
        if admitted and outcome.identity_id:
            session_of(Identity.objects.get(pk=outcome.identity_id), created_at=at)

    def _first_login(self, source: Source, login: Login, outcome: Outcome, at: datetime) -> None:
        account_id = outcome.account_id
        if outcome.verdict is Verdict.REFUSED:
            account_id = None
        if account_id is None:
            new = self._came(source, login, at, None, UUID(int=0))
            new.says({login.email})
            if source.jit == "create":
                # Refused though it may create: somebody is there whom it may be.
                self.model.check_tie(new)
            return
        new = self._came(source, login, at, self._identity(account_id), account_id)
        new.says({login.email})
        fresh = new.identity is not None and new.identity not in self.model.identities()
        assert source.jit == "create" or not fresh, "this connection's logins create nobody"
        self.model.issue(new, returning=False)
        if fresh and source.approval:
            assert not outcome.accepted
            self.model.holds.add((new.identity, "approval", new.id))  # type: ignore[arg-type]
            self.model.requests[new.id] = None
        elif outcome.accepted:
            new.seen = at

    @staticmethod
    def _came(source: Source, login: Login, at: datetime, identity: UUID | None, key: UUID) -> Account:
        return Account(
            id=key,
            source=source,
            identity=identity,
            name=login.name,
            asserted=login.key or login.subject,
            subject=login.subject,
            confirmed=False,
            made=at,
            spoken=at,
        )

    # What administrators do.

    @precondition(lambda self: self.model.accounts)
    @rule(who=which, kind=st.sampled_from([HoldKind.ADMIN, HoldKind.SECURITY]))
    def hold(self, who: int, kind: HoldKind) -> None:
        self._tick()
        if identity := self._person(who):
            people.place_hold(identity=identity, kind=kind, reason="a story", actor=OPERATOR)
            self.model.holds.add((identity.pk, kind.value, None))

    @precondition(lambda self: self.model.accounts)
    @rule(
        who=which, kind=st.sampled_from([HoldKind.ADMIN, HoldKind.SECURITY, HoldKind.SCIM, HoldKind.EXPIRY])
    )
    def lift(self, who: int, kind: HoldKind) -> None:
        at = self._tick()
        if identity := self._person(who):
            people.lift_hold(identity=identity, kind=kind, reason="a story", actor=OPERATOR)
            self.model.release(identity.pk, kind.value, at)

    @precondition(lambda self: self.model.accounts)
    @rule(who=which, approve=st.booleans())
    def decide(self, who: int, approve: bool) -> None:
        """One of the open findings, with the remedy that its page offers first."""
        at = self._tick()
        waiting = list(Finding.objects.filter(status="open").order_by("opened_at", "id"))
        if not waiting:
            return
        finding = waiting[who % len(waiting)]
        account = self.model.accounts.get(finding.account_id) if finding.account_id else None
        outcome = findings.decide(finding=finding, approve=approve, reason="a story", actor=OPERATOR)
        if finding.kind == "account:approval-requested" and finding.identity_id:
            self.model.release(finding.identity_id, "approval", at)
            self.model.requests[finding.account_id] = at
            if not approve:
                self.model.holds.add((finding.identity_id, "admin", None))
            return
        if account is None or account.gone or account.identity:
            return
        candidate = next(map(UUID, finding.candidates), None)
        if not approve:
            known, own = self.model.identities(), self._identity(account.id)
            assert own
            assert own not in known, "an identity of its own"
            self.model.link(account, own, at)
        elif candidate:
            assert outcome.accepted is self.model.may_link(account, candidate, fold=True), outcome.reason
            if outcome.accepted:
                self.model.link(account, candidate, at)

    @precondition(lambda self: self.model.accounts)
    @rule(who=which, whom=which)
    def link(self, who: int, whom: int) -> None:
        """An administrator says whose account it is, whatever it was tied to."""
        at = self._tick()
        account = self._account(who)
        person = self._person(whom, account.source.tenant) if account else None
        if account and person:
            outcome = linking.link(
                account=_stored(account), identity=person, reason="a story", actor=OPERATOR
            )
            assert outcome.accepted is self.model.may_link(account, person.pk), outcome.reason
            if outcome.accepted:
                self.model.link(account, person.pk, at)

    @precondition(lambda self: self.model.accounts)
    @rule(who=which)
    def unlink(self, who: int) -> None:
        self._tick()
        if account := self._account(who):
            outcome = linking.unlink(account=_stored(account), reason="a story", actor=OPERATOR)
            assert outcome.accepted is (not account.gone and self.model.may_leave(account)), outcome.reason
            if outcome.accepted and account.identity:
                self.model.unlink(account)

    @precondition(lambda self: self.model.accounts)
    @rule(who=which, whom=which)
    def merge(self, who: int, whom: int) -> None:
        """Two identities turn out to be one person."""
        at = self._tick()
        winner = self._person(who)
        loser = self._person(whom, winner.tenant_id) if winner else None
        if winner and loser and winner != loser:
            outcome = merging.merge(winner=winner, loser=loser, reason="a story", actor=OPERATOR)
            assert outcome.accepted is self.model.may_merge(winner.pk, loser.pk), outcome.reason
            if outcome.accepted:
                (told,) = Merge.objects.filter(loser=loser, unmerged_at=None)
                self.model.merge(told.pk, winner.pk, loser.pk, at)

    @precondition(lambda self: self.model.unions)
    @rule(which=which)
    def unmerge(self, which: int) -> None:
        self._tick()
        chosen = list(self.model.unions)[which % len(self.model.unions)]
        row = Merge.objects.get(pk=chosen)
        outcome = merging.unmerge(merge=row, reason="a story", actor=OPERATOR)
        assert outcome.accepted is self.model.may_unmerge(chosen), outcome.reason
        if outcome.accepted:
            self.model.unmerge(chosen)

    @precondition(lambda self: self.model.accounts)
    @rule(
        who=which, shown=st.sampled_from(["title", "email"]), as_=emails, days=st.sampled_from([1, 20, 100])
    )
    def override(self, who: int, shown: str, as_: str, days: int) -> None:
        """Somebody is shown otherwise, perhaps with another one's e-mail: nobody is recognised by it."""
        at = self._tick()
        identity = self._person(who)
        # Of whom no account lives nothing is overridden.
        if identity and any(account.identity == identity.pk for account in self.model.living()):
            tenant = next(place for place in self.world if place.source.tenant == identity.tenant_id)
            value, until = as_.format(domain=tenant.source.domain), at + timedelta(days=days)
            overrides.override(
                identity=identity, attribute=shown, value=value, until=until, reason="a story", actor=OPERATOR
            )
            self.model.overrides[identity.pk, shown] = value, until

    @precondition(lambda self: self.model.overrides)
    @rule(which=which)
    def end_override(self, which: int) -> None:
        self._tick()
        identity, shown = list(self.model.overrides)[which % len(self.model.overrides)]
        row = Override.objects.get(identity_id=identity, attribute=shown, ended_at=None)
        overrides.end(override=row, reason="a story", actor=OPERATOR)
        del self.model.overrides[identity, shown]

    # What a complete listing says.

    @precondition(lambda self: self.model.accounts)
    @rule(who=which, listed=LISTED, age=ages, night=nights, choice=choices, again=st.none() | AGAIN)
    def list_everybody(
        self,
        who: int,
        listed: dict[str, tuple[str | None, bool | None]],
        age: float,
        night: list[Event],
        choice: str,
        again: dict[str, Any] | None,
    ) -> None:
        """A roster of somebody's connection, of some hours ago perhaps, and the run that compares it; perhaps soon
        another one that says the same. Only who is missing from two, far enough apart, may be held for it."""
        account = self._account(who)
        if account is None:
            return
        place = self._number(account)
        self.time.shift(APART)
        self._list(place, listed, age=age, night=night, choice=choice)
        if again:
            self.time.shift(timedelta(hours=again["hours"]))
            self._happen(again["before"], place)
            self.time.shift(timedelta(minutes=1))
            self._list(place, listed, age=again["age"], night=again["night"], choice="release")

    def _list(
        self,
        place: int,
        listed: dict[str, tuple[str | None, bool | None]],
        *,
        age: float,
        night: Sequence[Event],
        choice: str,
    ) -> None:
        where = self._place(place)
        at = self._tick()
        as_of = at - timedelta(hours=age)
        rows = [
            Row(name=name, key=key, active=active is not False, email=f"{name.lower()}@{where.source.domain}")
            for name, (key, active) in listed.items()
        ]
        roster = rosters.receive(
            roster=rosters.begin(
                connection=where.house.connection,
                kind="csv",
                fields=("external_id", "user_name", "active", "email"),
                as_of=as_of,
                actor=OPERATOR,
                reason="As agreed",
                shrinking_accepted="A story.",
            ),
            source=_Listing(rows),
        )
        said, keyed = {row.name.lower() for row in rows}, [row.key for row in rows if row.key]
        twice = len(said) < len(rows) or len(set(keyed)) < len(keyed)
        known = self.model.listings.setdefault(where.source.id, [])
        older = bool(known) and as_of <= known[-1].made
        assert (roster.status == Roster.Status.COMPLETE) is not (twice or older)
        if roster.status != Roster.Status.COMPLETE:
            self._run(where, night=night, choice=choice)
            return
        known.append(Listing(made=as_of, rows=tuple(rows)))
        self._run(where, roster=roster, rows=rows, night=night, choice=choice)

    def _happen(self, events: Sequence[Event], place: int) -> None:
        """What others do meanwhile at this place. Of a word that is repeated at once the hub does not note when."""
        for name, said in events:
            self.time.shift(timedelta(minutes=6))
            getattr(self, name)(**said | ({"place": place} if "place" in said else {}))

    @precondition(lambda self: self.model.runs)
    @rule(which=which)
    def undo(self, which: int) -> None:
        """An administrator takes back what a run did."""
        at = self._tick()
        done = ReconciliationRun.objects.filter(status="done", items__status="applied").distinct()
        runs = list(done.order_by("-started_at"))
        if not runs:
            return
        run = runs[which % len(runs)]
        asked = list(undoing.items_of(run).values_list("pk", flat=True))
        undoing.order(run, actor=OPERATOR, reason="A mistake.")
        undoing.carry_out(run)
        ended: dict[UUID, set[str]] = {}
        items = ReconciliationItem.objects.filter(pk__in=asked, account_id__isnull=False)
        for account_id, status in items.values_list("account_id", "status"):
            ended.setdefault(account_id, set()).add(status)
        for account_id, statuses in ended.items():
            if "undone" in statuses:
                assert self.model.may_undo(run.pk, account_id), "it is not as the run left it"
                assert statuses == {"undone"}, "an account is taken back in part"
                self.model.undo(run.pk, account_id, at)

    # What time does, and what runs by itself.

    @precondition(lambda self: self.model.accounts)
    @rule(days=st.sampled_from([0.3, 8, 15, 91]))
    def wait(self, days: float) -> None:
        self.time.shift(timedelta(days=days))

    @precondition(lambda self: self.model.accounts)
    @rule()
    def deliver(self) -> None:
        self._tick()
        delivery.drain()

    @precondition(lambda self: self.model.accounts)
    @rule()
    def clean_up(self) -> None:
        at = self._tick()
        purge_deleted(at=at, actor=OPERATOR)
        self.model.purge(at)
        trim_sessions(at=at)
        overrides.end_due(at=at)
        self.model.end_overrides(at)

    @precondition(lambda self: self.model.accounts)
    @rule(place=places, night=nights, choice=choices)
    def reconcile(self, place: int, night: list[Event], choice: str) -> None:
        self._tick()
        self._run(self._place(place), night=night, choice=choice)

    def _run(
        self,
        where: Place,
        *,
        roster: Roster | None = None,
        rows: Sequence[Row] = (),
        night: Sequence[Event] = (),
        choice: str = "release",
        settles: bool = True,
    ) -> None:
        """Simulates, lets others act for a `night`, has a person choose, and executes."""
        source, row = where.source, Connection.objects.get(pk=where.source.id)
        run = reconciliation.simulate(row, OPERATOR, reason="As agreed")
        counted = self._counted(run)
        self._happen(night, self.world.index(where))
        left_out = self._leave_out(run) if choice == "leave out" else set()
        # What was left out of an earlier run stays out of this one while it is the same.
        whole = not run.items.filter(status="left-out").exists()
        run.refresh_from_db()
        if run.status == ReconciliationRun.Status.QUARANTINED and choice == "reject":
            reconciliation.reject(run, OPERATOR, "seen")
            return
        if run.status == ReconciliationRun.Status.QUARANTINED:
            run = reconciliation.release(run, OPERATOR, "seen")
        waiting = [a for a in self.model.living(source) if a.identity is None]
        before, enabled = self.model.scene(), self._enabled_ones()
        missing = self.model.missing(source) if run.roster else set()
        run = reconciliation.execute(run)
        if run.status == ReconciliationRun.Status.QUARANTINED:
            run = reconciliation.execute(reconciliation.release(run, OPERATOR, "seen"))
        assert run.status == ReconciliationRun.Status.DONE, (run.status, run.note)
        undisturbed = not night and whole and run.roster in (roster, None)
        if undisturbed and run.roster == roster and self.model.independent(source, rows):
            self._foresee(where, rows)
        else:
            self._learn(where)
            self._keep_the_newer(before, run, left_out)
        self.model.runs[run.pk] = before, self.model.scene()
        for account in self.model.living(source):
            held = ("scim", account.id) in {one[1:] for one in self.model.holds - before.holds}
            assert not (held and account.active) or account.id in missing, (
                "who is not missing twice is held for it"
            )
        assert enabled - self._enabled_ones() <= counted, (
            "a run takes access from whom its plan has not counted"
        )
        made = [a for a in self.model.accounts.values() if a.id not in before.accounts]
        for account in sorted((*waiting, *made), key=lambda a: a.identity is None):
            if account.identity is None:
                self.model.remember()
            if not account.gone:
                self.model.check_tie(account)
        again = reconciliation.simulate(row, OPERATOR, run.roster, reason="As agreed")
        planned = again.items.filter(status="planned").values_list("check_name", "reason")
        assert len(planned) == run.remaining, "a run says what a second one would find"
        if undisturbed and settles and planned:
            # Whom one row has made may be whom another one means: that is seen the next night, and then it is over.
            self._run(where, settles=False)
            return
        assert not (undisturbed and planned), (list(planned), "a second run finds nothing to do")

    @staticmethod
    def _counted(run: ReconciliationRun) -> set[UUID]:
        """From whom it takes access, as whoever looks at the plan is told."""
        items = run.items.filter(status="planned", destructive=True).values_list("identity_id", "plan")
        named = [(identity, *(line.get("identity_id") for line in plan)) for identity, plan in items]
        return {UUID(str(one)) for some in named for one in some if one}

    @staticmethod
    def _leave_out(run: ReconciliationRun) -> set[UUID]:
        """One item that names an account is left out; answers whose."""
        item = run.items.filter(status="planned", account_id__isnull=False).order_by("id").first()
        if item is None:
            return set()
        reconciliation.leave_out(run, reconciliation.Choice(items=[item.pk]), OPERATOR, "seen")
        others = run.items.filter(status="planned", account_id=item.account_id)
        return set() if others.exists() else {item.account_id}

    def _keep_the_newer(self, before: Scene, run: ReconciliationRun, left_out: set[UUID]) -> None:
        """What SCIM has said since the listing stands, and so does what a person left out."""
        after = self.model.scene()
        for account in before.accounts.values():
            newer = run.roster and account.confirmed and account.spoken > run.roster.as_of
            if account.id in left_out or newer:
                then = after.accounts[account.id]
                assert (account.looks[1:], account.gone) == (then.looks[1:], then.gone), "an older word wins"
                placed = after.held_by(account.id) - before.held_by(account.id)
                assert account.identity is None or not placed, "whoever was spoken of since is held"

    def _enabled_ones(self) -> set[UUID]:
        return {one for one in self.model.identities() if self.model.enabled(one)}

    def _foresee(self, where: Place, rows: Sequence[Row]) -> None:
        """What a run does. Whose an account is that nobody has linked is the hub's choice, within `check_tie`."""
        model, source, at = self.model, where.source, now()
        if rows:
            model.miss(source)
        concerned = model.meant(source)
        held = {a.id for a in model.living(source) if a.identity is None and a.active}
        for row in rows:
            came = model.list_row(source, row, at)
            if came == "new":
                self._listed(where, row, at)
            elif isinstance(came, Account) and came.id in held and not came.active:
                self._suspect(came)
        model.expire(source, at, but=concerned)
        for account in model.living(source):
            linked = self._identity(account.id)
            if account.identity is None and linked:
                assert not model.twins(account, linked), "no rule ties two accounts of one connection"
                model.link(account, linked, at)

    def _listed(self, where: Place, row: Row, at: datetime) -> None:
        """Whom only the listing knows."""
        found = StoredAccount.objects.filter(connection_id=where.source.id, deleted_at=None)
        made = found.get(user_name=row.name)
        account = Account(
            id=made.pk,
            source=where.source,
            identity=made.identity_id,
            name=row.name,
            key=row.key,
            active=row.active,
            confirmed=True,
            made=made.created_at,
            spoken=self.model.listings[where.source.id][-1].made,
            listed=True,
        )
        account.says({row.email})
        self.model.issue(account, returning=False)

    # What must be so after each of them.

    def _learn(self, where: Place) -> None:
        """What rows of one listing do to each other is not the model's to foresee: it goes on from what came of it.

        But nothing changes of people whom the connection does not know, what an administrator holds stays held, nobody
        who was deleted comes back, and no account appears elsewhere.
        """
        model = self.model
        concerned = {a.identity for a in model.accounts.values() if a.source == where.source}
        others = model.identities() - concerned
        before, held = {one: model.state(one) for one in others}, model.lasting()
        joined = set()
        for row in StoredAccount.objects.order_by("created_at", "user_name_key", "pk"):
            account = model.accounts.get(row.pk)
            if account is None:
                assert row.connection_id == where.source.id, "an account that nobody spoke of"
                account = Account(
                    id=row.pk,
                    source=where.source,
                    identity=None,
                    name="",
                    confirmed=True,
                    made=row.created_at,
                    spoken=BEGIN,
                )
                model.accounts[row.pk] = account
            assert not (account.gone and row.deleted_at is None), "the deleted stay deleted"
            if row.identity_id and not account.identity:
                model.carried.pop(account.id, None)
                joined.add(row.identity_id)
            account.identity, account.gone, account.active = row.identity_id, row.deleted_at, row.active
            if not account.gone:
                account.name, account.key, account.asserted = row.user_name, row.external_id, row.asserted_key
                account.subject = row.subject_value or None
                account.confirmed = row.confirmed_at is not None
                account.listed = row.lifecycle_owner == "roster"
                account.says(set(row.email_keys), "")
        model.holds = set(Hold.objects.values_list("identity_id", "kind", "source_account_id"))
        model.alone |= {source for _, kind, source in model.holds if kind == "expiry" and source}
        unchanged = others - joined
        assert {one: model.state(one) for one in unchanged} == {one: before[one] for one in unchanged}
        assert model.lasting() == held

    @invariant()
    def the_hub_is_as_the_model_says(self) -> None:
        self.model.remember()
        stored = {
            account_id: (connection_id, identity_id, None)
            if gone
            else (connection_id, identity_id, (name, key, subject or None, active, confirmed is not None))
            for account_id, connection_id, identity_id, gone, name, key, subject, active, confirmed in sql.rows(
                "SELECT id, connection_id, identity_id, deleted_at, user_name_key, external_id, subject_value, active,"
                " confirmed_at FROM provisioning_account"
            )
        }
        assert stored == {
            a.id: (a.source.id, a.identity, None)
            if a.gone
            else (a.source.id, a.identity, (a.name.lower(), a.key, a.subject, a.active, a.confirmed))
            for a in self.model.accounts.values()
        }
        shown = sql.rows(
            "SELECT identity_id, attribute, value FROM provisioning_override WHERE ended_at IS NULL"
        )
        assert {(one, name): value for one, name, value in shown} == {
            key: value for key, (value, _) in self.model.overrides.items()
        }
        holds = sql.rows("SELECT identity_id, kind, source_account_id FROM provisioning_hold")
        assert set(holds) == self.model.holds
        signs_in = dict(sql.rows(*_enabled()))
        assert signs_in == {one: self.model.enabled(one) for one in self.model.identities()}
        tied = [(a.source.id, a.identity) for a in self.model.living() if a.identity]
        assert len(tied) == len(set(tied)), "a connection says two things of one person"
        members: dict[UUID, set[UUID]] = {group_id: set() for group_id in self.model.members}
        for group_id, account_id in sql.rows("SELECT group_id, account_id FROM provisioning_membership"):
            members[group_id].add(account_id)
        assert members == self.model.members

    @invariant()
    def no_cheap_law_is_broken(self) -> None:
        with connection.cursor() as cursor:
            # What a commit would refuse.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        for tenant_id in dict.fromkeys(place.source.tenant for place in self.world):
            assert sql.rows(BROKEN, {"tenant": tenant_id, "at": now()}) == []

    @property
    def _groups(self) -> dict[UUID, set[UUID]]:
        groups: dict[UUID, set[UUID]] = self.__dict__.setdefault("groups_of", {})
        return groups

    def _tick(self) -> datetime:
        self.model.remember()
        self.time.shift(timedelta(seconds=1))
        return now()

    def _place(self, number: int) -> Place:
        return self.world[number % len(self.world)]

    def _of(self, account: Account) -> Place:
        return next(place for place in self.world if place.source == account.source)

    def _number(self, account: Account) -> int:
        return self.world.index(self._of(account))

    def _account(self, number: int) -> Account | None:
        """Of the accounts, the youngest first: a story goes on about whom it has just spoken of."""
        known = list(self.model.accounts.values())[::-1]
        return known[number % len(known)] if known else None

    def _person(self, number: int, tenant: UUID | None = None) -> Identity | None:
        whose = {a.identity: a.source.tenant for a in self.model.accounts.values() if a.identity}
        known = [one for one, where in whose.items() if tenant in (None, where)][::-1]
        return Identity.objects.get(pk=known[number % len(known)]) if known else None

    @staticmethod
    def _identity(account_id: UUID) -> UUID | None:
        return StoredAccount.objects.values_list("identity_id", flat=True).get(pk=account_id)

    def _suspect(self, account: Account) -> None:
        """Whom a waiting account holds is the hub's choice; that it may is the model's."""
        if account.identity is None:
            held = Hold.objects.filter(kind="scim", source_account_id=account.id)
            known = {whom for whom, _, source in self.model.holds if source == account.id}
            self.model.suspect(account, set(held.values_list("identity_id", flat=True)) - known)


def _lookalike(name: str) -> str:
    """Another name that a reader takes for this one: its first letter is as wide as a Chinese one."""
    wide = {"straße": "strasse", "strasse": "straße"}
    return wide.get(name) or (chr(ord(name[0]) + 0xFEE0) + name[1:] if name.isascii() else name)


def _said(
    where: Place, name: str, key: str | None, active: bool | None, email: str, hr_number: str
) -> tuple[dict[str, Any], Push]:
    address = email.format(domain=where.source.domain)
    document = user(name, key, emails=[{"value": address, "type": "work", "primary": True}])
    if hr_number:
        document |= {ENTERPRISE_USER: {"employeeNumber": hr_number}}
        document["schemas"] = [*document["schemas"], ENTERPRISE_USER]
    if active is None:
        del document["active"]
    else:
        document["active"] = active
    push = Push(name=name, key=key, active=active, emails={address}, hr_number=hr_number)
    return document, push


@cache
def _enabled() -> tuple[str, tuple[Any, ...]]:
    """Who may sign in, as the hub asks it: the statement and its parameters."""
    found: tuple[str, tuple[Any, ...]] = (
        Identity.objects.with_state().values_list("id", "enabled").query.sql_with_params()
    )
    return found


def _stored(account: Account) -> StoredAccount:
    row: StoredAccount = StoredAccount.objects.get(pk=account.id)
    return row


class _Listing:
    """Everybody, on one page."""

    kind = "csv"
    fields = ("external_id", "user_name", "active", "email")

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = [(line, _columns(row)) for line, row in enumerate(rows)]

    def pages(self, cursor: Any) -> Iterator[Page]:
        yield Page(rows=self.rows, faults=[], cursor=None, total=len(self.rows))


def _columns(row: Row) -> tuple[Any, ...]:
    said = {
        "external_id": row.key or "",
        "user_name": row.name,
        "active": row.active,
        "email": row.email,
    }
    return tuple(said.get(field, "") for field in FIELDS)


def _told(one: Any) -> tuple[str, str, str | None]:
    return one.law.name, one.id, one.beside
