"""A roster's life against a real database: pages, kills, proof, the two newest, other tenants."""

import io
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from identity_hub.core.clock import now
from provisioning.decision.authority import profile_of_resource
from provisioning.decision.reasons import Flaw
from provisioning.decision.types import Actor
from provisioning.fingerprints import FIELDS, fingerprint
from provisioning.models import (
    AuditRecord,
    AuditValue,
    OutboxMessage,
    ReconciliationRun,
    Roster,
    RosterPart,
    RosterRow,
)
from provisioning.roster import Fault, Page, Unreadable, files
from provisioning.roster.mapping import ColumnMap, checked
from provisioning.roster.proof import Refusal
from provisioning.selectors import rosters as stored
from provisioning.selectors.connections import rules
from provisioning.selectors.roster_differences import before
from provisioning.services import roster_files, rosters
from provisioning.services.invalid import Invalid
from provisioning.tasks import delivery
from provisioning.tasks.rosters import load_roster, resume_rosters, trim_rosters

from ..cast import House, extend, push, user

OPERATOR = Actor(kind="command", id="tests")
NAMES = ("external_id", "user_name", "title")

pytestmark = pytest.mark.django_db


def row(line: int, user_name: str, external_id: str = "", **more: Any) -> tuple[int, tuple[Any, ...]]:
    said = {"external_id": external_id, "user_name": user_name, "active": True} | more
    return line, tuple(said.get(name, "") for name in FIELDS)


class Listing:
    """A remote listing: `pages` are lists of rows; `dies_after` so many of them the network is away."""

    kind = "scim"
    fields = ("external_id", "user_name", "active")

    def __init__(
        self, *pages: Sequence[Any], total: int | None = None, dies_after: int | None = None
    ) -> None:
        self._pages, self._total, self.dies_after = pages, total, dies_after
        self.asked: list[Any] = []

    def pages(self, cursor: Any) -> Iterator[Page]:
        self.asked.append(cursor)
        for number in range((cursor or {}).get("page", 0), len(self._pages)):
            if number == self.dies_after:
                raise OSError("the network is away")
            rows = [one for one in self._pages[number] if not isinstance(one, Fault)]
            faults = [one for one in self._pages[number] if isinstance(one, Fault)]
            more = number + 1 < len(self._pages)
            yield Page(
                rows=rows, faults=faults, cursor={"page": number + 1} if more else None, total=self._total
            )


def begun(where: House, as_of: datetime | None = None, **facts: Any) -> Roster:
    given = {"kind": "scim", "fields": Listing.fields, "actor": OPERATOR, "reason": "As agreed"} | facts
    return rosters.begin(connection=where.connection, as_of=as_of, **given)


def received(where: House, *pages: Sequence[Any], as_of: datetime | None = None, **facts: Any) -> Roster:
    source = Listing(*pages, total=facts.pop("total", None))
    return rosters.receive(roster=begun(where, as_of, **facts), source=source)


def people(number: int, since: int = 1) -> list[Any]:
    return [row(n, f"p{n}@acme.example", f"e{n}") for n in range(since, since + number)]


def acts(roster: Roster) -> list[str]:
    return list(
        AuditRecord.objects.filter(object_id=roster.pk).order_by("id").values_list("reason", flat=True)
    )


def test_pages_become_rows_and_the_roster_is_complete(acme: House) -> None:
    roster = received(acme, people(2), people(1, 3), total=3)
    assert (roster.status, roster.code, roster.row_count, roster.expected) == ("complete", "", 3, 3)
    assert roster.cursor is None
    assert roster.completed_at is not None
    first = RosterRow.objects.get(roster_id=roster.pk, line=1)
    assert (first.tenant_id, first.user_name, first.external_id) == (acme.tenant.pk, "p1@acme.example", "e1")
    assert acts(roster) == ["roster:begun", "roster:completed"]


def test_a_row_keeps_what_joins_compare(acme: House) -> None:
    values = {
        "email": "Ada@Acme.example",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "display_name": "Ada Lovelace",
        "locale": "en-GB",
        "time_zone": "Europe/London",
        "hr_number": "7",
        "department": "R&D",
        "title": 'Engineer\t"first" \\ one',
    }
    roster = received(acme, [row(5, "Ada@acme.example", "e1", **values)], fields=FIELDS)
    kept = RosterRow.objects.get(roster_id=roster.pk)
    assert kept.document == {
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ],
        "userName": "Ada@acme.example",
        "externalId": "e1",
        "active": True,
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"value": "Ada@Acme.example", "type": "work", "primary": True}],
        "displayName": "Ada Lovelace",
        "title": 'Engineer\t"first" \\ one',
        "locale": "en-GB",
        "timezone": "Europe/London",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": "7",
            "department": "R&D",
        },
    }
    assert (kept.line, kept.user_name_key, kept.email_keys) == (5, "ada@acme.example", ["ada@acme.example"])
    assert (kept.hr_number, kept.active) == ("7", True)
    assert bytes(kept.fingerprint) == fingerprint(
        external_id="e1",
        user_name="Ada@acme.example",
        active=True,
        profile=profile_of_resource(kept.document),
    )


def test_a_pushed_person_and_her_row_look_alike(acme: House) -> None:
    account = push(acme, user("p1@acme.example", "e1")).account_id
    said = {"email": "p1@acme.example", "given_name": "Ada", "family_name": "Example"}
    roster = received(acme, [row(1, "p1@acme.example", "e1", **said)], fields=FIELDS[:6])
    known = acme.connection.accounts.get(pk=account)
    assert bytes(RosterRow.objects.get(roster_id=roster.pk).fingerprint) == bytes(known.fingerprint)


def test_what_a_listing_does_not_say_is_not_in_its_documents(acme: House) -> None:
    roster = received(acme, [row(1, "", "e1")], fields=("external_id",))
    kept = RosterRow.objects.get(roster_id=roster.pk)
    assert kept.document == {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "externalId": "e1"}
    assert kept.active


REFUSED = [
    pytest.param([[]], {}, "roster:empty", id="nobody"),
    pytest.param([people(3)], {"total": 4}, "roster:truncated", id="fewer than the server says"),
    pytest.param([people(3)], {"expected": 4}, "roster:truncated", id="fewer than the administrator says"),
    pytest.param(
        [[*people(3), Fault(line=4, code="row:json")]], {}, "roster:incomplete", id="a line that is of no use"
    ),
    pytest.param(
        [[*people(3), Fault(line=4, code="row:cut")]], {}, "roster:truncated", id="a last line that is cut"
    ),
    pytest.param(
        [people(3), [row(4, "new@acme.example", "e2")]], {}, "roster:duplicate-rows", id="an externalId twice"
    ),
    pytest.param(
        [people(3), [row(4, "P2@acme.example", "e9")]], {}, "roster:duplicate-rows", id="a userName twice"
    ),
]


@pytest.mark.parametrize(("pages", "facts", "code"), REFUSED)
def test_a_roster_without_proof_is_refused_by_name(
    acme: House, pages: list[Any], facts: dict[str, Any], code: str
) -> None:
    roster = received(acme, *pages, **facts)
    assert (roster.status, roster.code) == ("refused", code)
    assert roster.note.endswith(".")
    assert acts(roster) == ["roster:begun", "roster:refused"]
    told = AuditRecord.objects.get(object_id=roster.pk, reason="roster:refused")
    assert told.changes == [
        {
            "change": "roster",
            "source": "scim",
            "rows": roster.row_count,
            "faults": roster.fault_count,
            "code": code,
        }
    ]
    assert stored.newest_complete(acme.tenant.pk, acme.connection.pk) is None


def test_duplicates_are_named_by_line_without_the_key(acme: House) -> None:
    roster = received(
        acme,
        [row(2, "ada", "e1"), row(3, "bob", "e2"), row(4, "ADA", "e3"), row(9, "cyd", "e2"), row(10, "", "")],
        fields=NAMES,
        mapping=checked({"external_id": "id", "user_name": "login"}),
    )
    assert roster.faults == [
        {"line": 2, "code": "row:duplicate-user-name", "column": "login"},
        {"line": 3, "code": "row:duplicate-external-id", "column": "id"},
        {"line": 4, "code": "row:duplicate-user-name", "column": "login"},
        {"line": 9, "code": "row:duplicate-external-id", "column": "id"},
    ]
    assert roster.fault_count == 4


@pytest.mark.parametrize("wrong", [1, 300])
def test_duplicates_are_named_beside_lines_that_cannot_be_used(acme: House, wrong: int) -> None:
    twice = [row(1000, "ada", "e1"), row(1001, "ada", "e2")]
    roster = received(acme, [*(Fault(line=n, code="row:columns") for n in range(2, wrong + 2)), *twice])
    assert (roster.code, roster.fault_count) == ("roster:incomplete", wrong + 2)
    assert [fault["line"] for fault in roster.faults[-2:]] == [1000, 1001]
    assert len(roster.faults) == min(wrong + 2, 100)


def test_the_first_hundred_faults_are_kept_and_the_cut_end_too(acme: House) -> None:
    wrong = [Fault(line=n, code="row:columns") for n in range(2, 302)]
    roster = received(acme, wrong, [Fault(line=302, code="row:cut")])
    assert (roster.fault_count, len(roster.faults), roster.code) == (301, 100, "roster:truncated")
    assert roster.faults[-1]["line"] == 302


def test_a_killed_worker_goes_on_where_it_stopped(acme: House) -> None:
    roster = begun(acme)
    listing = Listing(people(2), people(2, 3), people(2, 5), dies_after=2)
    with pytest.raises(OSError, match="network"):
        rosters.receive(roster=roster, source=listing)
    kept = Roster.objects.get(pk=roster.pk)
    assert (kept.status, kept.row_count, kept.cursor) == ("loading", 4, {"page": 2})

    listing.dies_after = None
    ended = rosters.receive(roster=kept, source=listing)
    assert listing.asked == [None, {"page": 2}]
    assert (ended.status, ended.row_count) == ("complete", 6)
    assert list(
        RosterRow.objects.filter(roster_id=roster.pk).order_by("line").values_list("line", flat=True)
    ) == [*range(1, 7)]
    assert acts(roster) == ["roster:begun", "roster:completed"]


def test_an_ended_roster_is_answered_as_it_is(acme: House) -> None:
    roster = received(acme, people(3))
    again = rosters.receive(roster=Roster.objects.get(pk=roster.pk), source=Listing(people(9)))
    assert (again.status, again.row_count) == ("complete", 3)


def test_a_source_that_is_of_no_use_refuses_its_roster(acme: House) -> None:
    class Broken(Listing):
        def pages(self, cursor: Any) -> Iterator[Page]:
            raise Unreadable("The server does not list people; please ask its operator.")
            yield  # a generator, as sources are

    roster = rosters.receive(roster=begun(acme), source=Broken())
    assert (roster.status, roster.code) == ("refused", "roster:unreadable")
    assert roster.note == "The server does not list people; please ask its operator."


def test_a_listing_cannot_speak_of_the_future(acme: House) -> None:
    with pytest.raises(Invalid, match="future"):
        begun(acme, now() + timedelta(hours=1))


def test_a_clock_that_is_a_little_ahead_makes_no_push_look_old(acme: House) -> None:
    ahead = begun(acme, now() + timedelta(minutes=4))
    assert ahead.as_of == ahead.started_at


def test_an_older_listing_never_follows_a_newer_one(acme: House) -> None:
    at = now()
    assert received(acme, people(3), as_of=at - timedelta(hours=1)).status == "complete"
    for moment in (at - timedelta(hours=1), at - timedelta(hours=2)):
        assert received(acme, people(3), as_of=moment).code == "roster:older"
    assert received(acme, people(3), as_of=at).status == "complete"


class TestShrinking:
    def test_it_needs_a_reason_in_writing(self, acme: House) -> None:
        received(acme, people(20), as_of=now() - timedelta(hours=3))
        roster = received(acme, people(10), as_of=now() - timedelta(hours=2))
        assert (roster.status, roster.code) == ("refused", "roster:shrunk")

        accepted = rosters.accept_shrinking(roster=roster, reason="The plant was sold.", actor=OPERATOR)
        assert (accepted.status, accepted.code) == ("complete", "")
        assert acts(roster) == ["roster:begun", "roster:refused", "roster:accepted", "roster:completed"]
        told = AuditRecord.objects.get(object_id=roster.pk, reason="roster:accepted")
        assert AuditValue.objects.get(record_id=told.pk).values == {"reason": "The plant was sold."}

    def test_it_may_be_accepted_beforehand(self, acme: House) -> None:
        received(acme, people(20), as_of=now() - timedelta(hours=3))
        roster = received(acme, people(10), shrinking_accepted="The plant was sold.")
        assert roster.status == "complete"

    def test_it_is_not_accepted_after_a_newer_roster(self, acme: House) -> None:
        received(acme, people(20), as_of=now() - timedelta(hours=3))
        roster = received(acme, people(10), as_of=now() - timedelta(hours=2))
        received(acme, people(20), as_of=now() - timedelta(hours=1))
        again = rosters.accept_shrinking(roster=roster, reason="The plant was sold.", actor=OPERATOR)
        assert (again.status, again.code) == ("refused", "roster:older")

    def test_nothing_else_can_be_accepted(self, acme: House) -> None:
        roster = received(acme, [])
        with pytest.raises(Invalid, match="shrunk"):
            rosters.accept_shrinking(roster=roster, reason="Never mind.", actor=OPERATOR)


def rows_of(roster: Roster) -> int:
    return RosterRow.objects.filter(roster_id=roster.pk).count()


class TestTrimming:
    def test_the_two_newest_complete_ones_keep_their_rows(
        self, acme: House, globex: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rosters, "DELETED_AT_ONCE", 2)
        at = now()
        kept = [received(acme, people(5), as_of=at - timedelta(days=n)) for n in (4, 3, 2, 1)]
        theirs = received(globex, people(5))
        other = received(extend(acme.tenant, "Other"), people(5))
        refused = received(acme, [*people(3), Fault(line=4, code="row:json")])

        assert rosters.trim(at=at) == 5 + 5 + 3
        assert [Roster.objects.get(pk=one.pk).status for one in kept] == ["superseded"] * 2 + ["complete"] * 2
        assert [rows_of(one) for one in kept] == [0, 0, 5, 5]
        assert [rows_of(one) for one in (theirs, other, refused)] == [5, 5, 0]
        assert acts(kept[0])[-1] == "roster:superseded"
        assert stored.newest_complete(acme.tenant.pk, acme.connection.pk) == kept[3]
        assert rosters.trim(at=at) == 0

    @pytest.mark.parametrize(
        ("hours", "kept"),
        [
            pytest.param([5, 4, 3], [5, 4, 3], id="of one day all"),
            pytest.param([30, 15, 2], [15, 2], id="none that is older than the one before"),
            pytest.param([40, 30, 20, 14, 2], [14, 2], id="the one before is the newest that is far enough"),
            pytest.param([13, 1, 0.5, 0.2], [13, 1, 0.5, 0.2], id="with all that lie between them"),
        ],
    )
    def test_rosters_of_one_day_keep_what_is_compared_with(
        self, acme: House, hours: list[float], kept: list[float]
    ) -> None:
        at = now()
        given = {hour: received(acme, people(1), as_of=at - timedelta(hours=hour)) for hour in hours}
        rosters.trim(at=at)
        assert [hour for hour, one in given.items() if rows_of(one)] == kept

    def test_a_run_that_waits_keeps_its_rosters_rows(self, acme: House) -> None:
        given = [received(acme, people(1), as_of=now() - timedelta(hours=hours)) for hours in (20, 16, 1)]
        run = ReconciliationRun.objects.create(
            tenant=acme.tenant,
            connection=acme.connection,
            roster=given[0],
            status="quarantined",
            population=1,
        )
        rosters.trim(at=now())
        assert [rows_of(one) for one in given] == [1, 1, 1]
        ReconciliationRun.objects.filter(pk=run.pk).update(status="rejected")
        rosters.trim(at=now())
        assert [rows_of(one) for one in given] == [0, 1, 1]

    def test_hourly_rosters_are_compared_with_one_of_half_a_day_before(self, acme: House) -> None:
        begun_at = now() - timedelta(days=2)
        for hour in range(48):
            newest = received(acme, people(1), as_of=begun_at + timedelta(hours=hour))
            rosters.trim(at=now())
            earlier = before(newest)
            assert (earlier is not None) is (hour >= 12)
            assert earlier is None or newest.as_of - earlier.as_of == timedelta(hours=12)
            assert Roster.objects.filter(status="complete").count() <= 13

    def test_a_shrunk_one_keeps_its_rows_for_a_week(self, acme: House) -> None:
        received(acme, people(20), as_of=now() - timedelta(hours=3))
        roster = received(acme, people(10))
        rosters.trim(at=now() + timedelta(days=6))
        assert rows_of(roster) == 10
        assert not rosters.acceptable(roster, now() + timedelta(days=7, hours=12))
        rosters.trim(at=now() + timedelta(days=7, hours=12))
        assert rows_of(roster) == 10, "whoever accepts it in the last moment finds every row"
        rosters.trim(at=now() + timedelta(days=9))
        assert rows_of(roster) == 0

    def test_half_a_year_later_a_roster_says_nothing_of_today(self, acme: House) -> None:
        roster = received(acme, people(5))
        rosters.trim(at=now() + timedelta(days=179))
        assert rows_of(roster) == 5
        rosters.trim(at=now() + timedelta(days=181))
        roster.refresh_from_db()
        assert (roster.status, rows_of(roster)) == ("superseded", 0)
        assert stored.newest_complete(acme.tenant.pk, acme.connection.pk) is None

    def test_what_ended_meanwhile_is_not_refused(self, acme: House) -> None:
        roster = received(acme, people(5))
        stale = Roster.objects.get(pk=roster.pk)
        stale.status = "loading"
        rosters.refuse(stale, Refusal(flaw=Flaw.ABANDONED, sentence="Nobody went on."))
        roster.refresh_from_db()
        assert (roster.status, roster.code) == ("complete", "")

    def test_what_nobody_goes_on_with_is_refused_after_a_day(self, acme: House) -> None:
        loading, draft = begun(acme), uploaded(acme)
        rosters.trim(at=now() + timedelta(hours=23))
        assert Roster.objects.get(pk=draft.pk).status == "draft"
        trim_rosters()
        rosters.trim(at=now() + timedelta(hours=25))
        for one in (loading, draft):
            one.refresh_from_db()
            assert (one.status, one.code) == ("refused", "roster:abandoned")
        assert RosterPart.objects.count() == 0


CSV = "id,userName,title\r\n" + "".join(f"e{n},p{n}@acme.example,Engineer\r\n" for n in range(1, 8))


def uploaded(where: House, content: str = CSV, **facts: Any) -> Roster:
    data = content.encode()
    pieces = [data[start : start + 10] for start in range(0, len(data), 10)]
    given = {"name": "people.csv", "actor": OPERATOR, "reason": "As agreed"} | facts
    return roster_files.keep(connection=where.connection, pieces=pieces, **given)


class TestUploads:
    def test_a_file_waits_for_its_mapping_and_is_loaded_by_a_worker(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(roster_files, "CHUNK", 64)
        monkeypatch.setattr(files, "AT_ONCE", 3)
        roster = uploaded(acme)
        assert (roster.status, roster.source, roster.mapping) == (
            "draft",
            "csv",
            {"external_id": "id", "user_name": "userName", "title": "title"},
        )
        assert RosterPart.objects.filter(roster=roster).count() == -(-len(CSV) // 64)

        taken = roster_files.take(
            roster=roster,
            mapping={"external_id": "id", "user_name": "userName"},
            actor=OPERATOR,
            reason="As agreed",
        )
        assert (taken.status, taken.fields) == ("loading", ["external_id", "user_name"])
        message = OutboxMessage.objects.get(topic="roster.load")
        assert "roster.load" in delivery.HANDLERS
        load_roster(str(message.tenant_id), message.payload["roster"])
        taken.refresh_from_db()
        assert (taken.status, taken.row_count) == ("complete", 7)
        assert RosterPart.objects.count() == 0
        assert acts(roster) == ["roster:uploaded", "roster:begun", "roster:completed"]

    def test_a_lost_order_is_found_by_the_schedule(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        roster = uploaded(acme)
        roster_files.take(roster=roster, mapping=roster.mapping, actor=OPERATOR, reason="As agreed")
        ordered: list[tuple[str, str]] = []
        monkeypatch.setattr(load_roster, "delay", lambda *ids: ordered.append(ids))
        resume_rosters()
        assert ordered == [(str(acme.tenant.pk), str(roster.pk))]

    def test_it_is_taken_once(self, acme: House) -> None:
        roster = uploaded(acme)
        roster_files.take(roster=roster, mapping=roster.mapping, actor=OPERATOR, reason="As agreed")
        with pytest.raises(Invalid, match="already"):
            roster_files.take(roster=roster, mapping=roster.mapping, actor=OPERATOR, reason="As agreed")
        with pytest.raises(Invalid, match="already"):
            roster_files.discard(roster=roster, reason="x", actor=OPERATOR)

    def test_it_may_be_thrown_away(self, acme: House) -> None:
        roster = uploaded(acme)
        roster_files.discard(roster=roster, reason="wrong file", actor=OPERATOR)
        assert not Roster.objects.exists()
        assert not RosterPart.objects.exists()
        assert acts(roster) == ["roster:uploaded", "roster:discarded"]

    @pytest.mark.parametrize(
        ("content", "facts", "field"),
        [
            pytest.param("PK\x03\x04", {}, "file", id="a spreadsheet"),
            pytest.param("", {}, "file", id="nothing"),
            pytest.param(CSV, {"options": {"encoding": "klingon"}}, "encoding", id="an encoding of nobody"),
            pytest.param(CSV, {"options": {"delimiter": "::"}}, "delimiter", id="two separators"),
            pytest.param(CSV, {"options": {"delimiter": '"'}}, "delimiter", id="a quote that separates"),
            pytest.param(CSV, {"as_of": now() + timedelta(days=1)}, "as_of", id="of tomorrow"),
        ],
    )
    def test_what_cannot_be_a_listing_is_not_kept(
        self, acme: House, content: str, facts: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(Invalid) as refused:
            uploaded(acme, content, **facts)
        assert refused.value.field == field
        assert not Roster.objects.exists()

    def test_a_larger_file_than_there_is_room_for_is_refused(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(roster_files, "LARGEST", 100)
        with pytest.raises(Invalid, match="larger"):
            uploaded(acme)

    def test_its_preview_shows_what_the_mapping_makes_of_it(self, acme: House) -> None:
        roster = uploaded(acme, "id,userName,title\ne1,ada,\ne2,,x\n")
        seen = roster_files.preview(roster_files.sample_of(roster), roster.mapping)
        assert [
            one.told if isinstance(one, Fault) else [value for value in one if value] for _, one in seen.rows
        ] == [["e1", "ada", True], {"line": 3, "code": "row:key-missing", "column": "userName"}]
        with pytest.raises(Invalid, match="no column"):
            roster_files.preview(seen.sample, {"user_name": "nobody"})


ENDLESS = "id,userName\n" + "\n".join(f"e{n},p{n}@acme.example" for n in range(1, 8))
COUNTED = ENDLESS + "\n#count=7"


@pytest.mark.parametrize(
    ("content", "expected", "status", "code"),
    [
        pytest.param(ENDLESS, None, "refused", "roster:truncated", id="and may be cut in its last cell"),
        pytest.param(ENDLESS[:-8], None, "refused", "roster:truncated", id="and is"),
        pytest.param(ENDLESS, 7, "complete", "", id="and a person says how many there are"),
        pytest.param(ENDLESS[:-30], 7, "refused", "roster:truncated", id="and has fewer than was said"),
        pytest.param(COUNTED, None, "complete", "", id="and counts its rows"),
        pytest.param(ENDLESS + "\n", None, "complete", "", id="no: it has one"),
        pytest.param(
            '{"userName": "ada"}', None, "refused", "roster:truncated", id="an object that is whole"
        ),
    ],
)
def test_a_file_whose_last_line_has_no_end(
    acme: House, content: str, expected: int | None, status: str, code: str
) -> None:
    roster = uploaded(acme, content, expected=expected, name="x.jsonl" if content[0] == "{" else "x.csv")
    roster_files.take(roster=roster, mapping=roster.mapping, actor=OPERATOR, reason="As agreed")
    load_roster(str(acme.tenant.pk), str(roster.pk))
    roster.refresh_from_db()
    assert (roster.status, roster.code) == (status, code)


def stopped(where: House, monkeypatch: pytest.MonkeyPatch, **more: Any) -> dict[str, Any]:
    """What a file was given with whose loading stopped after three rows."""
    monkeypatch.setattr(files, "AT_ONCE", 3)

    def open_() -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(CSV.encode()))  # type: ignore[type-var, arg-type, return-value]

    seen, preview = roster_files.look_at(open_, name="people.csv", options={}, mapped={})
    facts: dict[str, Any] = {
        "connection": where.connection,
        "open_": open_,
        "seen": seen,
        "preview": preview,
        "name": "people.csv",
        "actor": OPERATOR,
        "reason": "As agreed",
    }

    def stop(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        roster_files.import_file(**facts, **more, progress=stop)
    return facts


def test_a_file_that_stopped_loading_goes_on_when_it_is_given_again(
    acme: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = stopped(acme, monkeypatch)
    roster = Roster.objects.get()
    assert (roster.status, roster.row_count) == ("loading", 3)
    ended = roster_files.import_file(**facts | {"reason": "The first try was stopped"})
    assert (ended.pk, ended.status, ended.row_count) == (roster.pk, "complete", 7)
    record = AuditRecord.objects.get(reason="roster:given-again", object_id=roster.pk)
    assert AuditValue.objects.get(record_id=record.pk).values == {"reason": "The first try was stopped"}
    assert rows_of(ended) == 7


T = now() - timedelta(hours=3)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("first", "again", "found"),
    [
        pytest.param({}, {"as_of": T}, {"as_of": T, "status": "complete"}, id="of the moment of its export"),
        pytest.param(
            {"as_of": T},
            {"as_of": T - HOUR},
            {"as_of": T - HOUR, "status": "complete"},
            id="an earlier moment",
        ),
        # It is the same file: what was pushed between the two is newer than it.
        pytest.param(
            {"as_of": T}, {"as_of": T + HOUR}, {"as_of": T, "status": "complete"}, id="a later one, in vain"
        ),
        pytest.param(
            {}, {"expected": 9}, {"expected": 9, "code": "roster:truncated"}, id="how many rows it has"
        ),
        pytest.param(
            {"expected": 9}, {"expected": 7}, {"expected": 7, "status": "complete"}, id="a right number"
        ),
        pytest.param(
            {"expected": 7, "as_of": T},
            {},
            {"expected": 7, "as_of": T, "status": "complete"},
            id="nothing: what was said stays",
        ),
    ],
)
def test_what_is_said_when_a_file_is_given_again_counts(
    acme: House,
    monkeypatch: pytest.MonkeyPatch,
    first: dict[str, Any],
    again: dict[str, Any],
    found: dict[str, Any],
) -> None:
    facts = stopped(acme, monkeypatch, **first)
    ended = roster_files.import_file(**facts | {"reason": "Stopped"}, **again)
    assert {name: getattr(ended, name) for name in found} == found


def test_that_a_file_may_be_short_can_be_said_when_it_is_given_again(
    acme: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    received(acme, people(40), as_of=T)
    facts = stopped(acme, monkeypatch)
    ended = roster_files.import_file(**facts, shrinking_accepted="A branch was sold")
    assert (ended.status, ended.shrinking_accepted) == ("complete", "A branch was sold")


def test_a_moment_that_cannot_be_does_not_pass_when_a_file_is_given_again(
    acme: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = stopped(acme, monkeypatch)
    with pytest.raises(Invalid, match="future"):
        roster_files.import_file(**facts, as_of=now() + HOUR)


def test_a_sign_that_the_wrong_column_is_mapped(acme: House, globex: House) -> None:
    push(acme, user("p1@acme.example", "e1"))
    push(acme, user("p2@acme.example", "e2"))
    push(globex, user("p3@acme.example", "e3"))
    found = stored.met(
        acme.connection,
        [
            ("e1", "p1@acme.example"),
            ("x2", "P2@acme.example"),
            ("e3", "p3@acme.example"),
            ("", "p1@acme.example"),
        ],
    )
    assert (found.rows, found.by_external_id, found.by_user_name, found.elsewhere) == (4, 1, 3, 1)


def test_a_mapping_is_kept_as_it_was_given(acme: House) -> None:
    mapping = ColumnMap(columns={"user_name": "login"})
    roster = begun(acme, mapping=mapping, digest="d")
    assert orjson.loads(orjson.dumps(roster.mapping)) == {"user_name": "login"}
    assert rosters.unfinished(acme.connection, digest="d", mapping=mapping) == roster
    assert rosters.unfinished(acme.connection, digest="other", mapping=mapping) is None


@pytest.mark.parametrize(
    ("days", "confirms"),
    [
        pytest.param([], False, id="none has come"),
        pytest.param([1], False, id="only one has come"),
        pytest.param([30, 1], True, id="a second came yesterday"),
        pytest.param([30, 15], False, id="the last one is older than the grace"),
    ],
)
def test_rosters_can_confirm_accounts_that_logins_made(acme: House, days: list[int], confirms: bool) -> None:
    where = extend(acme.tenant, "HR", scim_enabled=False)
    moments = [now() - timedelta(days=ago) for ago in days]
    for moment in moments:
        received(where, people(2), as_of=moment)
    policy = rules(acme.tenant.pk, [where.connection.pk]).policies[where.connection.pk]
    assert policy.has_lifecycle_source is confirms
    assert policy.source_since == (moments[0] if confirms else None)
