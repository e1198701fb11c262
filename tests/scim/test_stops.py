"""What an administrator has stopped of a connection, and what a burst of deactivations stops where it is strict."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from time_machine import travel

from identity_hub.core.clock import now
from provisioning.decision.policy import Switch
from provisioning.models import AuditRecord, Connection, Finding, Identity, ScimRequest
from provisioning.services import bursts, configuration, switches
from saml_sp.tasks import watch_bursts
from tests.provisioning.cast import OPERATOR

from .clients import GROUP_URN, PATCH_URN, USER_URN, Idp, error_of

pytestmark = pytest.mark.django_db

BULK_URN = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
SEARCH_URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
OFF = {"op": "replace", "path": "active", "value": False}


def stop(idp: Idp, switch: Switch = Switch.SCIM_WRITES) -> None:
    switches.stop(connection=idp.connection, switch=switch, reason="An outage", actor=OPERATOR)


def resume(idp: Idp, switch: Switch = Switch.SCIM_WRITES) -> None:
    switches.resume(connection=idp.connection, switch=switch, reason="Over", actor=OPERATOR)


def strict(idp: Idp, number: int = 2, **more: Any) -> None:
    changes = {"burst_deactivations": number, "strict_deactivations": True, **more}
    configuration.change_connection(
        connection=idp.connection, changes=changes, actor=OPERATOR, reason="As agreed"
    )


def enabled() -> int:
    return Identity.objects.with_state().filter(enabled=True).count()


class TestWrites:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/Users", {"schemas": [USER_URN], "userName": "new"}),
            ("PUT", "/Users/{id}", {"schemas": [USER_URN], "userName": "ada"}),
            ("PATCH", "/Users/{id}", {"schemas": [PATCH_URN], "Operations": [OFF]}),
            ("DELETE", "/Users/{id}", None),
            ("POST", "/Groups", {"schemas": [GROUP_URN], "displayName": "Staff"}),
            ("PATCH", "/Groups/{group}", {"schemas": [PATCH_URN], "Operations": [OFF]}),
            ("DELETE", "/Groups/{group}", None),
            (
                "POST",
                "/Bulk",
                {
                    "schemas": [BULK_URN],
                    "Operations": [{"method": "DELETE", "path": "/Users/{id}"}],
                },
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_write_is_answered_503_and_changes_nothing(
        self, idp: Idp, method: str, path: str, body: Any
    ) -> None:
        names = {"id": idp.person("ada")["id"], "group": idp.group()["id"]}
        stop(idp)
        before = AuditRecord.objects.count()
        answer = idp.send(method, path.format(**names), body)
        assert error_of(answer) == (503, None)
        assert answer["Retry-After"] == "300"
        assert AuditRecord.objects.count() == before
        assert ScimRequest.objects.filter(status=503, reason="connection:stopped").count() == 1

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/Users", None),
            ("GET", "/Users/{id}", None),
            ("HEAD", "/Users/{id}", None),
            ("GET", "/Groups", None),
            ("POST", "/Users/.search", {"schemas": [SEARCH_URN]}),
            ("POST", "/.search", {"schemas": [SEARCH_URN]}),
            ("GET", "/ServiceProviderConfig", None),
            ("GET", "/Schemas", None),
        ],
    )
    def test_reads_go_on(self, idp: Idp, method: str, path: str, body: Any) -> None:
        person = idp.person("ada")
        stop(idp)
        assert idp.send(method, path.format(id=person["id"]), body).status_code == 200

    def test_it_holds_at_once_and_ends_at_once(self, idp: Idp) -> None:
        idp.person("ada")
        stop(idp)
        assert idp.post("/Users", {"schemas": [USER_URN], "userName": "bob"}).status_code == 503
        resume(idp)
        assert idp.post("/Users", {"schemas": [USER_URN], "userName": "bob"}).status_code == 201

    def test_a_neighbour_goes_on(self, idp: Idp, other: Idp) -> None:
        stop(idp)
        other.person("eve")

    def test_it_costs_no_statement(self, idp: Idp) -> None:
        def statements() -> int:
            person = idp.person()
            with CaptureQueriesContext(database) as asked:
                idp.patch(f"/Users/{person['id']}", OFF)
            idp.delete(f"/Users/{person['id']}")
            return len(asked)

        statements()
        before = statements()
        stop(idp, Switch.JIT_CREATE)
        assert statements() == before


class TestDeactivations:
    def test_stopped_ones_are_answered_503_and_other_writes_are_not(self, idp: Idp) -> None:
        ada = idp.person("ada")["id"]
        stop(idp, Switch.DEACTIVATIONS)
        answer = idp.patch(f"/Users/{ada}", OFF)
        assert (error_of(answer), answer["Retry-After"]) == ((503, None), "300")
        assert error_of(idp.delete(f"/Users/{ada}")) == (503, None)
        title = {"op": "replace", "path": "title", "value": "Dr"}
        assert idp.patch(f"/Users/{ada}", title).status_code == 200
        assert (
            idp.post("/Users", {"schemas": [USER_URN], "userName": "off", "active": False}).status_code == 201
        )
        record = AuditRecord.objects.filter(reason="account:deactivation-stopped").first()
        assert record is not None
        assert record.verdict == "refused"
        resume(idp, Switch.DEACTIVATIONS)
        assert idp.patch(f"/Users/{ada}", OFF).status_code == 200

    def test_a_burst_is_obeyed_and_asked_about(self, idp: Idp) -> None:
        configuration.change_connection(
            connection=idp.connection, changes={"burst_deactivations": 2}, actor=OPERATOR, reason="As agreed"
        )
        for person in idp.crowd(3):
            assert idp.patch(f"/Users/{person}", OFF).status_code == 200
        assert enabled() == 0
        watch_bursts()
        watch_bursts()
        (finding,) = Finding.objects.filter(kind="connection:deactivation-burst")
        assert (finding.severity, finding.connection_id) == ("high", idp.connection.pk)
        assert {name: finding.evidence[name] for name in ("most", "threshold", "minutes")} == {
            "most": 3,
            "threshold": 2,
            "minutes": 10,
        }

    def test_the_alarm_of_a_friday_night_waits_on_monday(self, idp: Idp) -> None:
        configuration.change_connection(
            connection=idp.connection, changes={"burst_deactivations": 2}, actor=OPERATOR, reason="As agreed"
        )
        for person in idp.crowd(3):
            idp.patch(f"/Users/{person}", OFF)
        watch_bursts()
        with travel(now() + timedelta(days=3), tick=False):
            watch_bursts()
        assert Finding.objects.get(kind="connection:deactivation-burst").status == "open"

    @pytest.mark.parametrize(
        ("number", "minutes", "burst"),
        [
            pytest.param(3, 10, False, id="as many as are allowed for"),
            pytest.param(2, 10, True, id="one more"),
            pytest.param(2, 1, False, id="not so many within its minutes"),
            pytest.param(0, 10, False, id="any number, where none is named"),
        ],
    )
    def test_how_many_within_how_long_is_a_connections_own(
        self, idp: Idp, number: int, minutes: int, burst: bool
    ) -> None:
        changes = {"burst_deactivations": number, "burst_deactivation_minutes": minutes}
        configuration.change_connection(
            connection=idp.connection, changes=changes, actor=OPERATOR, reason="As agreed"
        )
        at = now()
        for n, person in enumerate(idp.crowd(3)):
            with travel(at + timedelta(minutes=n), tick=False):
                idp.patch(f"/Users/{person}", OFF)
        assert bool(bursts.deactivations(at=at + timedelta(minutes=2))) is burst

    def test_a_deactivation_that_was_taken_back_counts_no_more(self, idp: Idp) -> None:
        configuration.change_connection(
            connection=idp.connection, changes={"burst_deactivations": 2}, actor=OPERATOR, reason="As agreed"
        )
        for person in idp.crowd(3):
            idp.patch(f"/Users/{person}", OFF)
            idp.patch(f"/Users/{person}", {"op": "replace", "path": "active", "value": True})
        assert bursts.deactivations(at=now()) == []


class TestStrict:
    def test_the_first_beyond_the_number_stops_what_follows_until_a_person_says_so(self, idp: Idp) -> None:
        strict(idp)
        people = idp.crowd(6)
        told = [idp.patch(f"/Users/{person}", OFF).status_code for person in people[:4]]
        assert told == [200, 200, 503, 503]
        assert enabled() == 4
        facts = Connection.objects.get(pk=idp.connection.pk).stopped["scim-deactivations"]
        assert facts["by"] == "guard:"
        (record,) = AuditRecord.objects.filter(reason="connection:stopped")
        assert (record.actor_kind, record.changes) == (
            "guard",
            [{"change": "switch", "switch": "scim-deactivations"}],
        )
        (finding,) = Finding.objects.filter(kind="connection:deactivation-burst")
        assert finding.evidence["threshold"] == 2
        # Not by time: a person has to look.
        with travel(now() + timedelta(days=1)):
            assert idp.patch(f"/Users/{people[2]}", OFF).status_code == 503
        resume(idp, Switch.DEACTIVATIONS)
        told = [idp.patch(f"/Users/{person}", OFF).status_code for person in people[2:5]]
        assert told == [200, 200, 503]

    def test_few_at_a_time_are_never_stopped(self, idp: Idp) -> None:
        strict(idp)
        at = now()
        for n, person in enumerate(idp.crowd(4)):
            with travel(at + timedelta(minutes=6 * n), tick=False):
                assert idp.patch(f"/Users/{person}", OFF).status_code == 200

    def test_one_request_with_many_goes_no_further(self, idp: Idp) -> None:
        strict(idp)
        people = idp.crowd(5)
        body = {
            "schemas": [BULK_URN],
            "Operations": [{"method": "DELETE", "path": f"/Users/{person}"} for person in people],
        }
        answer = idp.post("/Bulk", body)
        assert [one["status"] for one in answer.json()["Operations"]] == ["204", "204", "503", "503", "503"]
        assert enabled() == 3

    def test_a_neighbour_goes_on(self, idp: Idp, other: Idp) -> None:
        strict(idp, 1)
        strict(other, 1)
        one, two, *_ = idp.crowd(2)
        idp.patch(f"/Users/{one}", OFF)
        assert idp.patch(f"/Users/{two}", OFF).status_code == 503
        assert other.patch(f"/Users/{other.crowd(1)[0]}", OFF).status_code == 200
