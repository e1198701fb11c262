"""Pulling a roster: gone on with after a kill, begun anew when its place is forgotten, refused with a reason."""

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection as database
from django.db.models import F

from identity_hub.core.clock import now
from identity_hub.settings import env
from provisioning import reconciliation
from provisioning.models import (
    Account,
    AuditRecord,
    AuditValue,
    Hold,
    OutboxMessage,
    Roster,
    RosterRow,
    RosterSource,
)
from provisioning.schedule import SCHEDULE
from provisioning.services import pulls, roster_sources, rosters
from provisioning.sources import Away
from provisioning.sources.wire import Wire
from provisioning.tasks import pulls as jobs
from tests.conversations.played import LISTINGS, Played, playing

from ..cast import OPERATOR, House, extend, push, user

SECRET = "pulled"


def steps_of(name: str) -> list[dict[str, Any]]:
    """Of a SCIM conversation, as the pull itself asks: by pages of 200."""
    steps = next(one["steps"] for one in LISTINGS if one["id"] == name)
    return [
        {**step, "query": {**step["query"], "count": "200"}} if "count" in step.get("query", {}) else step
        for step in steps
    ]


def source_at(played: Played, where: House, **fields: Any) -> RosterSource:
    return roster_sources.keep_source(
        connection=where.connection,
        actor=OPERATOR,
        reason="As agreed",
        fields={"kind": "scim", "base_address": f"{played.base}/scim/v2", **fields},
        secret=SECRET,
    )


@pytest.fixture
def pull() -> Callable[..., Roster]:
    """Without the waiting."""
    make_wire = partial(Wire, wait=lambda _: None)

    def call(source: RosterSource, **more: Any) -> Roster:
        return pulls.pull(source=source, actor=OPERATOR, make_wire=make_wire, **more)

    return call


def test_everybody_comes_into_one_complete_roster(acme: House, pull: Callable[..., Roster]) -> None:
    with playing(steps_of("scim-index")) as played:
        roster = pull(source_at(played, acme))
        played.finish()

    assert (roster.status, roster.code, roster.row_count, roster.expected) == ("complete", "", 5, 5)
    assert (roster.source, roster.connection_id, roster.tenant_id) == (
        "scim",
        acme.connection.pk,
        acme.tenant.pk,
    )
    rows = RosterRow.objects.filter(roster_id=roster.pk, tenant_id=acme.tenant.pk).order_by("line")
    assert [(row.line, row.external_id, row.user_name, row.hr_number) for row in rows] == [
        (n, f"s-{n}", f"person{n}@corp.example", f"100{n}") for n in range(1, 6)
    ]


class Killed(BaseException):
    """What a SIGKILL leaves behind: whatever was committed, and nothing that was to come."""


def test_after_a_kill_the_next_worker_goes_on_behind_the_last_page(
    acme: House, pull: Callable[..., Roster]
) -> None:
    def killed_at_two(rows: int) -> None:
        if rows == 2:
            raise Killed

    # The configuration is asked for once, each page once.
    with playing(steps_of("scim-index")) as played:
        source = source_at(played, acme)
        with pytest.raises(Killed):
            pull(source, progress=killed_at_two)
        left = Roster.objects.get()
        assert (left.status, left.row_count, left.cursor["first"]) == ("loading", 2, 3)
        roster = pull(source)
        played.finish()
    assert roster.pk == left.pk
    assert (roster.status, roster.row_count) == ("complete", 5)
    assert list(RosterRow.objects.order_by("line").values_list("line", flat=True)) == [1, 2, 3, 4, 5]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_after_a_real_kill_too(acme: House, pull: Callable[..., Roster]) -> None:
    """A process that lists people gets a SIGKILL while it waits for the second page."""
    steps = steps_of("scim-index")
    name = database.settings_dict["NAME"]
    with playing([*steps[:2], {**steps[2], "hangs": True}, *steps[2:]]) as played:
        source = source_at(played, acme)
        process = subprocess.Popen(
            [
                *(sys.executable, "manage.py", "pull_roster", "--wait"),
                *("--connection", str(acme.connection.pk), "--reason", "Somebody left"),
            ],
            cwd=settings.BASE_DIR,
            env={
                **env,
                "HUB_ENV": "test",
                "DJANGO_SETTINGS_MODULE": "identity_hub.settings",
                "DATABASE_URL": urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl(),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert played.hung.wait(60)
            assert Roster.objects.get().row_count == 2
        finally:
            process.kill()
            process.wait()
            played.let_go.set()
        roster = _once_the_lock_is_free(pull, source)
        played.finish()
    assert (roster.status, roster.row_count) == ("complete", 5)
    assert Roster.objects.count() == 1
    assert RosterRow.objects.count() == 5


def _once_the_lock_is_free(pull: Callable[..., Roster], source: RosterSource) -> Roster:
    """The database notices that a process has gone when it looks at its connection."""
    deadline = monotonic() + 20
    while True:
        try:
            return pull(source)
        except rosters.Elsewhere:
            assert monotonic() < deadline
            sleep(0.05)


def test_a_server_that_goes_away_is_gone_on_with_another_time(
    acme: House, pull: Callable[..., Roster]
) -> None:
    steps = steps_of("scim-index")
    busy = {**steps[2], "status": 503}
    with playing([*steps[:2], *[busy] * 6, *steps[2:]]) as played:
        source = source_at(played, acme)
        with pytest.raises(Away):
            pull(source)
        source.refresh_from_db()
        assert source.problem == "127.0.0.1 is busy (status 503)."
        assert Roster.objects.get().status == "loading"
        roster = pull(source)
        played.finish()
    source.refresh_from_db()
    assert (roster.status, roster.row_count, source.problem) == ("complete", 5, "")


def test_a_forgotten_place_begins_the_listing_anew_and_says_so(
    acme: House, pull: Callable[..., Roster]
) -> None:
    first, expired = steps_of("scim-cursor"), steps_of("scim-cursor-expired")[0]
    gone = {**expired, "query": {**expired["query"], "cursor": "VZUTiyhEQJ94IR"}}
    with playing([*first[:2], gone, *first]) as played:
        roster = pull(source_at(played, acme))
        played.finish()

    assert (roster.status, roster.row_count) == ("complete", 5)
    (old,) = Roster.objects.exclude(pk=roster.pk)
    assert (old.status, old.code) == ("refused", "roster:expired")
    assert old.note == "127.0.0.1 no longer knows where the listing stopped. It was begun anew."


@pytest.mark.parametrize(
    ("name", "code", "says", "times"),
    [
        pytest.param(
            "scim-total-changes", "roster:unstable", "had 6 people", 3, id="people changed, three times"
        ),
        pytest.param("scim-short", "roster:truncated", "promises 6 people and lists 3", 1, id="a short one"),
        pytest.param("scim-nobody", "roster:empty", "names nobody", 1, id="an empty one"),
        pytest.param("scim-refused", "roster:denied", "refuses the credential", 1, id="a refused token"),
        pytest.param("scim-html", "roster:unreadable", "no JSON object", 1, id="a proxy's page"),
    ],
)
def test_what_is_no_whole_listing_is_refused_with_its_reason(
    acme: House, pull: Callable[..., Roster], name: str, code: str, says: str, times: int
) -> None:
    with playing(steps_of(name) * times) as played:
        roster = pull(source_at(played, acme))
        played.finish()
    assert (roster.status, roster.code) == ("refused", code)
    assert says in roster.note
    assert Roster.objects.filter(status="refused", code=code).count() == times == Roster.objects.count()


def test_repeated_people_of_pages_far_apart_are_found(acme: House, pull: Callable[..., Roster]) -> None:
    steps = steps_of("scim-index")
    first = steps[1]["body"]["Resources"][0]
    last = {**steps[3], "body": {**steps[3]["body"], "Resources": [first]}}
    with playing([*steps[:3], last]) as played:
        roster = pull(source_at(played, acme))
    assert (roster.status, roster.code) == ("refused", "roster:duplicate-rows")


def test_a_changed_source_does_not_go_on_with_the_listing_of_the_old_one(
    acme: House, pull: Callable[..., Roster]
) -> None:
    steps = steps_of("scim-index")
    with playing([*steps[:2], *[{**steps[2], "status": 503}] * 6, *steps]) as played:
        source = source_at(played, acme)
        with pytest.raises(Away):
            pull(source)
        left = Roster.objects.get()
        source = source_at(played, acme, chosen='userType eq "Employee"')
        roster = pull(source)
        assert [one["query"].get("filter") for one in played.asked[-3:]] == ['userType eq "Employee"'] * 3
        played.finish()
    assert roster.pk != left.pk
    assert roster.status == "complete"


def test_a_credential_that_no_key_opens_is_said_to_be_none(
    acme: House, pull: Callable[..., Roster], settings: Any
) -> None:
    with playing([]) as played:
        source = source_at(played, acme)
        settings.CREDENTIAL_KEYS = ["another key" * 4]
        roster = pull(source)
        played.finish()
    assert (roster.status, roster.code) == ("refused", "roster:denied")
    assert "enter it again" in roster.note


def test_another_tenants_sealed_credential_is_of_no_use(
    acme: House, globex: House, pull: Callable[..., Roster]
) -> None:
    """Attack: who can write to the database copies a credential into his own row, which leads to his server."""
    with playing([]) as played:
        theirs, ours = source_at(played, acme), source_at(played, globex)
        RosterSource.objects.filter(pk=ours.pk).update(sealed=theirs.sealed)
        ours.refresh_from_db()
        assert pull(ours).code == "roster:denied"
        played.finish()


def test_the_first_page_is_shown_and_nothing_is_kept(acme: House) -> None:
    with playing(steps_of("scim-index")[:2]) as played:
        source = source_at(played, acme)
        before = AuditRecord.objects.count()
        page = pulls.first_page(source)
        played.finish()
    assert [values[:3] for _, values in page.rows] == [
        ("s-1", "person1@corp.example", True),
        ("s-2", "person2@corp.example", True),
    ]
    assert page.total == 5
    assert not Roster.objects.exists()
    assert not RosterRow.objects.exists()
    assert AuditRecord.objects.count() == before


def test_the_credential_is_nowhere_but_in_the_request(
    acme: House, pull: Callable[..., Roster], caplog: pytest.LogCaptureFixture
) -> None:
    secret = "s3cret-that-nobody-sees"
    with playing([{**step, "headers": {}} for step in steps_of("scim-refused")]) as played:
        source = source_at(played, acme)
        source = roster_sources.keep_source(
            connection=acme.connection, actor=OPERATOR, fields={}, secret=secret, reason="A new one"
        )
        roster = pull(source)
        assert played.asked[1]["headers"]["authorization"] == f"Bearer {secret}"
    kept = [
        *(str(vars(row)) for row in AuditRecord.objects.all()),
        *(str(vars(row)) for row in AuditValue.objects.all()),
        *(str(vars(row)) for row in (roster, source)),
        caplog.text,
    ]
    assert not any(secret in text for text in kept)
    assert "credential" in str(AuditRecord.objects.filter(reason="roster:source-set").latest("at").changes)


@pytest.mark.django_db(transaction=True)
def test_two_workers_are_not_at_one_listing(acme: House, pull: Callable[..., Roster]) -> None:
    steps = steps_of("scim-index")
    told: list[str] = []
    with playing(steps) as played:
        source = source_at(played, acme)

        def second() -> None:
            try:
                pull(source)
            except rosters.Elsewhere:
                told.append("elsewhere")
            finally:
                database.close()

        def meanwhile(rows: int) -> None:
            if rows == 2:
                other = threading.Thread(target=second)
                other.start()
                other.join()

        roster = pull(source, progress=meanwhile)
        played.finish()
    assert told == ["elsewhere"]
    assert (roster.status, roster.row_count) == ("complete", 5)
    assert Roster.objects.count() == 1


class TestTheJobs:
    def test_a_worker_does_what_was_asked_for(self, acme: House) -> None:
        with playing(steps_of("scim-index")) as played:
            pulls.order(source_at(played, acme), OPERATOR, "Somebody left")
            (ordered,) = OutboxMessage.objects.filter(topic="roster.pull")
            jobs.pull_roster(str(ordered.tenant_id), ordered.payload["connection"], ordered.payload["actor"])
            played.finish()
        roster = Roster.objects.get()
        assert (roster.status, roster.requested_by) == ("complete", OPERATOR.signature)

    def test_a_worker_that_is_told_to_wait_for_long_goes_on_later(self, acme: House) -> None:
        steps = steps_of("scim-index")
        later = {**steps[2], "status": 429, "answers": {"Retry-After": "400"}}
        with playing([*steps[:2], later, *steps[2:]]) as played:
            source_at(played, acme)
            jobs.pull_roster.apply(args=[str(acme.tenant.pk), str(acme.connection.pk)])
            played.finish()
        roster = Roster.objects.get()
        assert (roster.status, roster.row_count, roster.requested_by) == ("complete", 5, "schedule:")

    def test_a_source_that_is_gone_is_no_work(self, acme: House) -> None:
        jobs.pull_roster(str(acme.tenant.pk), str(acme.connection.pk))
        assert not Roster.objects.exists()

    def test_another_tenants_connection_is_not_pulled(self, acme: House, globex: House) -> None:
        with playing([]) as played:
            source_at(played, acme)
            jobs.pull_roster(str(globex.tenant.pk), str(acme.connection.pk))
            played.finish()
        assert not Roster.objects.exists()

    def test_every_scheduled_source_of_an_active_connection_is_due(self, acme: House, globex: House) -> None:
        disabled = extend(acme.tenant, "Disabled", status="draft")
        with playing([]) as played:
            source_at(played, acme, scheduled=True)
            source_at(played, disabled, scheduled=True)
            source_at(played, globex)
        assert pulls.due() == [(acme.tenant.pk, acme.connection.pk)]

    def test_the_listings_come_before_the_runs(self) -> None:
        pulled, run = (SCHEDULE[name]["schedule"] for name in ("pull-rosters", "reconcile-all"))
        assert SCHEDULE["pull-rosters"]["task"] == jobs.pull_rosters.name
        assert max(pulled.hour) < min(run.hour)


class TestWhatComesOfAListing:
    """Three people at Microsoft. The push about the second one got lost; the third one was never pushed."""

    STEPS = next(one["steps"] for one in LISTINGS if one["id"] == "graph-list")
    PEOPLE = [person for step in STEPS for person in step["body"].get("value", [])]

    def listed(self, acme: House, pull: Callable[..., Roster], people: list[dict[str, Any]]) -> str:
        """Pulls, then runs; the run's status."""
        page = {**self.STEPS[1], "body": {"@odata.count": len(people), "value": people}}
        with playing([self.STEPS[0], page]) as played:
            source = roster_sources.keep_source(
                connection=acme.connection,
                actor=OPERATOR,
                reason="As agreed",
                fields={
                    "kind": "graph",
                    "base_address": f"{played.base}/v1.0",
                    "token_address": f"{played.base}/token",
                    "client_id": "6731de76-14a6-49ae-97bc-6eba6914391e",
                },
                secret=SECRET,
            )
            assert pull(source).status == "complete"
            played.finish()
        return str(
            reconciliation.execute(
                reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")
            ).status
        )

    @pytest.fixture
    def found(self, acme: House) -> Callable[[], list[tuple[str, bool, bool]]]:
        """(origin, active, held) of the three, after two were pushed long ago."""
        for person in self.PEOPLE[:2]:
            push(acme, user(person["userPrincipalName"], person["id"], displayName=person["displayName"]))
        at = now() - timedelta(days=10)
        Account.objects.update(created_at=at, updated_at=at)

        def look() -> list[tuple[str, bool, bool]]:
            held = set(Hold.objects.values_list("identity_id", flat=True))
            rows = {row.external_id: row for row in Account.objects.filter(tenant=acme.tenant)}
            people = [rows[person["id"]] for person in self.PEOPLE]
            return [(row.origin, row.active, row.identity_id in held) for row in people]

        return look

    def test_who_was_switched_off_is_held_and_who_is_new_comes_in(
        self, acme: House, pull: Callable[..., Roster], found: Callable[[], list[tuple[str, bool, bool]]]
    ) -> None:
        assert self.listed(acme, pull, self.PEOPLE) == "done"
        assert found() == [("scim", True, False), ("scim", False, True), ("roster", True, False)]

    def test_who_is_gone_is_held_with_the_second_listing_without_her(
        self, acme: House, pull: Callable[..., Roster], found: Callable[[], list[tuple[str, bool, bool]]]
    ) -> None:
        for people, held in ((self.PEOPLE, False), (self.PEOPLE[1:], False), (self.PEOPLE[1:], True)):
            assert self.listed(acme, pull, people) == "done"
            assert found()[0][2] is held
            # The next one is of the next night.
            night = timedelta(days=1)
            Roster.objects.update(as_of=F("as_of") - night)
            Account.objects.update(as_of=F("as_of") - night, updated_at=F("updated_at") - night)
