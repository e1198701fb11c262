"""Tokens: what one may ask for, how one takes over from another, and when somebody is warned."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from identity_hub.core.clock import now
from provisioning.models import (
    AuditRecord,
    AuditValue,
    Connection,
    Finding,
    OutboxMessage,
    ScimClient,
    ScimToken,
)
from provisioning.selectors import credentials
from provisioning.selectors.connections import rules
from provisioning.selectors.tokens import connection_of
from provisioning.services import findings
from provisioning.services.configuration import Invalid
from provisioning.services.expiry import warn_of_expiry
from provisioning.services.tokens import (
    create_client,
    issue_token,
    keep_access_token,
    new_secret,
    revoke_client,
    revoke_token,
    rotate_token,
)
from provisioning.tasks.tokens import warn_of_token_expiry

from ..cast import OPERATOR, House, push, user
from .test_races import at_once

ALL = ["read", "users", "groups"]


def issued(where: House, **options: Any) -> tuple[ScimToken, str]:
    return issue_token(connection=where.connection, actor=OPERATOR, reason="As agreed", **options)


def works(secret: str, at: datetime | None = None) -> bool:
    return connection_of(secret, at or now()) is not None


@pytest.mark.django_db
class TestIssuing:
    def test_it_may_all_unless_something_else_is_said(self, acme: House) -> None:
        assert issued(acme)[0].scopes == ALL
        token, secret = issued(acme, scopes=["groups", "read", "read"])
        assert token.scopes == ["read", "groups"]
        caller = connection_of(secret, now())
        assert caller is not None
        assert caller.scopes == {"read", "groups"}

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"scopes": []}, "scopes"),
            ({"scopes": ["admin"]}, "scopes"),
            ({"days": 0}, "days"),
            ({"days": 10**9}, "days"),
            ({"name": "x" * 101}, "name"),
        ],
    )
    def test_what_cannot_be_is_refused(self, acme: House, options: dict[str, Any], field: str) -> None:
        before = AuditRecord.objects.count()
        with pytest.raises(Invalid) as refused:
            issued(acme, **options)
        assert refused.value.field == field
        assert AuditRecord.objects.count() == before

    def test_the_secret_is_kept_nowhere(self, acme: House) -> None:
        token, secret = issued(acme, name="Entra")
        _, second = rotate_token(token=token, actor=OPERATOR, reason="Yearly")
        _, third = create_client(connection=acme.connection, actor=OPERATOR, reason="As agreed")
        stored = "".join(
            str(row)
            for model in (ScimToken, ScimClient, AuditRecord, AuditValue)
            for row in model.objects.values()
        )
        for kept in (secret, second, third):
            assert kept not in stored


@pytest.mark.django_db
class TestRotation:
    def test_both_live_for_the_overlap_and_then_the_new_one_alone(self, acme: House) -> None:
        old, old_secret = issued(acme, name="Entra", scopes=["users"], days=365)
        new, new_secret_ = rotate_token(token=old, actor=OPERATOR, overlap=timedelta(days=3), reason="Yearly")
        old.refresh_from_db()
        assert (new.replaces_id, new.name, new.scopes) == (old.pk, "Entra", ["users"])
        assert new.expires_at - new.created_at == timedelta(days=365)
        assert old.expires_at == new.created_at + timedelta(days=3)
        assert works(old_secret)
        assert works(new_secret_)
        later = now() + timedelta(days=3, seconds=1)
        assert not works(old_secret, later)
        assert works(new_secret_, later)
        record = AuditRecord.objects.get(reason="token:rotated")
        assert (record.object_id, record.changes[0]["replaces"]) == (new.pk, str(old.pk))
        assert AuditValue.objects.get(record_id=record.pk).values == {"reason": "Yearly"}

    def test_a_token_without_end_gets_one_and_its_successor_none(self, acme: House) -> None:
        old, _ = issued(acme)
        new, _ = rotate_token(token=old, actor=OPERATOR, reason="As agreed")
        old.refresh_from_db()
        assert new.expires_at is None
        assert old.expires_at == new.created_at + timedelta(days=7)

    def test_an_overlap_never_lengthens_a_life(self, acme: House) -> None:
        old, _ = issued(acme, days=2)
        ends = old.expires_at
        rotate_token(token=old, actor=OPERATOR, reason="As agreed")
        old.refresh_from_db()
        assert old.expires_at == ends

    def test_no_overlap_ends_the_old_one_at_once(self, acme: House) -> None:
        old, secret = issued(acme)
        rotate_token(token=old, actor=OPERATOR, reason="As agreed", overlap=timedelta(0))
        assert not works(secret)

    def test_how_far_it_has_come_is_seen_by_the_last_uses(self, acme: House) -> None:
        old, old_secret = issued(acme)
        start = now()
        assert works(old_secret, start)
        _, secret = rotate_token(token=old, actor=OPERATOR, reason="As agreed")

        def state(at: datetime) -> list[str]:
            return [pair.state for pair in credentials.rotations(acme.connection, at)]

        assert state(start) == ["waiting"]
        assert works(secret, start + timedelta(minutes=2))
        assert state(start) == ["switched"]
        assert works(old_secret, start + timedelta(minutes=5))
        assert state(start) == ["both"]
        assert state(start + timedelta(days=8)) == []

    def _expired(self, where: House) -> ScimToken:
        token, _ = issued(where, days=1)
        ScimToken.objects.filter(pk=token.pk).update(expires_at=now())
        return token

    def _revoked(self, where: House) -> ScimToken:
        token, _ = issued(where)
        revoke_token(token=token, actor=OPERATOR, reason="As agreed")
        return token

    def _rotated(self, where: House) -> ScimToken:
        token, _ = issued(where)
        rotate_token(token=token, actor=OPERATOR, reason="As agreed")
        return token

    def _obtained(self, where: House) -> ScimToken:
        client, _ = create_client(connection=where.connection, actor=OPERATOR, reason="As agreed")
        token = keep_access_token(client=client, secret=new_secret(), scopes=ALL)
        assert token is not None
        return token

    @pytest.mark.parametrize("made", [_expired, _revoked, _rotated, _obtained])
    def test_not_every_token_can_be_rotated(
        self, acme: House, made: Callable[["TestRotation", House], ScimToken]
    ) -> None:
        token = made(self, acme)
        before = ScimToken.objects.count()
        with pytest.raises(Invalid) as refused:
            rotate_token(token=token, actor=OPERATOR, reason="As agreed")
        assert refused.value.field == "token"
        assert ScimToken.objects.count() == before

    def test_a_lost_successor_is_revoked_and_made_anew(self, acme: House) -> None:
        old, _ = issued(acme)
        lost, _ = rotate_token(token=old, actor=OPERATOR, reason="As agreed")
        revoke_token(token=lost, actor=OPERATOR, reason="As agreed")
        again, _ = rotate_token(token=old, actor=OPERATOR, reason="As agreed")
        assert again.replaces_id == old.pk

    @pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=91)])
    def test_an_overlap_has_its_limits(self, acme: House, overlap: timedelta) -> None:
        token, _ = issued(acme)
        with pytest.raises(Invalid, match="overlap"):
            rotate_token(token=token, actor=OPERATOR, reason="As agreed", overlap=overlap)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_of_many_rotations_at_once_one_makes_a_successor(self, acme: House) -> None:
        token, _ = issued(acme)

        def rotate() -> bool:
            try:
                rotate_token(token=token, actor=OPERATOR, reason="As agreed")
            except Invalid:
                return False
            return True

        assert sum(at_once(*[rotate] * 8)) == 1
        assert ScimToken.objects.filter(replaces=token).count() == 1

    def test_a_token_in_use_goes_on_while_it_is_rotated(self, acme: House) -> None:
        token, secret = issued(acme)
        ScimToken.objects.filter(pk=token.pk).update(last_used_at=None)
        answers = at_once(
            *[lambda: works(secret)] * 8,
            lambda: rotate_token(token=token, actor=OPERATOR, reason="As agreed")[1],
            *[lambda: works(secret)] * 8,
        )
        assert all(answers)
        token.refresh_from_db()
        # Neither writer has taken back what the other wrote.
        assert token.last_used_at is not None
        assert token.expires_at is not None

    def test_a_revocation_holds_from_the_next_request_on(self, acme: House) -> None:
        token, secret = issued(acme)
        at_once(
            *[lambda: works(secret)] * 6,
            lambda: revoke_token(token=token, actor=OPERATOR, reason="As agreed"),
        )
        assert at_once(*[lambda: works(secret)] * 6) == [False] * 6
        assert AuditRecord.objects.filter(reason="token:revoked").count() == 1

    @pytest.mark.parametrize("round_", range(5))
    def test_no_token_survives_the_client_that_obtains_it_meanwhile(self, acme: House, round_: int) -> None:
        client, _ = create_client(connection=acme.connection, actor=OPERATOR, reason="As agreed")
        secrets = [new_secret() for _ in range(8)]
        obtain = [
            lambda secret=secret: keep_access_token(client=client, secret=secret, scopes=ALL)
            for secret in secrets
        ]
        at_once(
            *obtain[:4], lambda: revoke_client(client=client, actor=OPERATOR, reason="As agreed"), *obtain[4:]
        )
        assert not any(works(secret) for secret in secrets)
        assert not ScimToken.objects.filter(client=client, revoked_at=None).exists()


@pytest.mark.django_db
class TestAlarm:
    @pytest.fixture
    def start(self) -> datetime:
        return now()

    def warned(self, at: datetime) -> list[str]:
        """The severities of what is asked now, after the job has run twice (the second run must change nothing)."""
        warn_of_expiry(at=at)
        assert warn_of_expiry(at=at) == []
        rows = Finding.objects.filter(kind="token:expires", status="open")
        return list(rows.order_by("opened_at").values_list("severity", flat=True))

    def test_it_grows_more_serious_and_goes_with_its_token(self, acme: House, start: datetime) -> None:
        token, _ = issued(acme, days=40)
        end = token.expires_at
        assert self.warned(end - timedelta(days=31)) == []
        assert self.warned(end - timedelta(days=30)) == ["low"]
        assert self.warned(end - timedelta(days=8)) == ["low"]
        assert self.warned(end - timedelta(days=7)) == ["medium"]
        assert self.warned(end - timedelta(hours=24)) == ["high"]
        assert self.warned(end) == []
        assert list(
            Finding.objects.order_by("opened_at").values_list("severity", "status", "connection", "tenant")
        ) == [(level, "obsolete", acme.connection.pk, acme.tenant.pk) for level in ("low", "medium", "high")]
        assert OutboxMessage.objects.filter(topic="finding.opened").count() == 3

    def test_what_was_decided_is_not_asked_again_but_the_next_step_is(self, acme: House) -> None:
        token, _ = issued(acme, days=20)
        end = token.expires_at
        for approve, left in ((True, 20), (False, 7)):
            assert len(self.warned(end - timedelta(days=left))) == 1
            finding = Finding.objects.get(status="open")
            findings.decide(finding=finding, approve=approve, reason="Seen", actor=OPERATOR)
            assert self.warned(end - timedelta(days=left)) == []
        assert self.warned(end - timedelta(days=1)) == ["high"]

    def test_a_rotation_ends_it_and_only_a_switch_that_never_came_asks_again(self, acme: House) -> None:
        token, _ = issued(acme, days=5)
        end = token.expires_at
        assert self.warned(end - timedelta(days=5)) == ["medium"]
        _, secret = rotate_token(token=token, actor=OPERATOR, reason="As agreed", days=365)
        assert not Finding.objects.filter(status="open").exists()
        assert self.warned(end - timedelta(days=2)) == []
        assert self.warned(end - timedelta(days=1)) == ["high"]
        assert works(secret)
        assert self.warned(end - timedelta(hours=2)) == []

    def test_a_revocation_ends_it(self, acme: House) -> None:
        token, _ = issued(acme, days=5)
        assert self.warned(now()) == ["medium"]
        revoke_token(token=token, actor=OPERATOR, reason="As agreed")
        assert not Finding.objects.filter(status="open").exists()
        assert self.warned(now()) == []

    def test_tokens_without_an_end_of_a_client_or_of_a_connection_that_is_off_warn_nobody(
        self, acme: House, globex: House
    ) -> None:
        client, _ = create_client(connection=acme.connection, actor=OPERATOR, reason="As agreed")
        keep_access_token(client=client, secret=new_secret(), scopes=ALL)
        issued(globex, days=1)
        Connection.objects.filter(pk=globex.connection.pk).update(status="disabled")
        assert self.warned(now()) == []

    def test_each_tenant_is_asked_about_its_own(self, acme: House, globex: House) -> None:
        issued(acme, days=5, name="ours")
        issued(globex, days=20, name="theirs")
        assert sorted(self.warned(now())) == ["low", "medium"]
        (finding,) = Finding.objects.filter(tenant=globex.tenant)
        assert (finding.connection_id, finding.evidence["name"]) == (globex.connection.pk, "theirs")

    def test_the_job_says_it_in_the_log_with_ids(self, acme: House) -> None:
        token, secret = issued(acme, days=5)
        with structlog.testing.capture_logs() as lines:
            warn_of_token_expiry()
        (line,) = [line for line in lines if line["event"] == "token:expires"]
        assert (line["log_level"], line["token"], line["connection"], line["severity"]) == (
            "warning",
            str(token.pk),
            str(acme.connection.pk),
            "medium",
        )
        assert secret not in str(lines)


@pytest.mark.parametrize(
    ("pushed", "token", "client", "confirms"),
    [
        pytest.param(True, "live", "", True, id="a token lives"),
        pytest.param(True, "expired", "", False, id="the token has expired"),
        pytest.param(True, "revoked", "", False, id="the token is revoked"),
        pytest.param(True, "expired", "live", True, id="a client may obtain another"),
        pytest.param(True, "expired", "revoked", False, id="the client is revoked too"),
        pytest.param(False, "live", "live", False, id="nobody has ever pushed"),
    ],
)
def test_who_may_push_can_confirm_accounts_that_logins_made(
    acme: House, pushed: bool, token: str, client: str, confirms: bool
) -> None:
    ended = {
        "live": {},
        "expired": {"expires_at": now() - timedelta(days=200)},
        "revoked": {"revoked_at": now()},
    }
    ScimToken.objects.update(**{"expires_at": None} | ended[token])
    if client:
        row, _ = create_client(connection=acme.connection, actor=OPERATOR, reason="As agreed")
        ScimClient.objects.filter(pk=row.pk).update(revoked_at=ended[client].get("revoked_at"))
    began = acme.connection.first_push_at if pushed else None
    Connection.objects.update(first_push_at=began)
    policy = rules(acme.tenant.pk, [acme.connection.pk]).policies[acme.connection.pk]
    assert (policy.has_lifecycle_source, policy.source_since) == (confirms, began if confirms else None)


def test_the_first_push_of_a_connection_is_kept(acme: House) -> None:
    Connection.objects.update(first_push_at=None, last_push_at=None)
    first = now()
    for hours in (0, 5):
        push(acme, user(f"ada{hours}@acme.example", f"e{hours}"), at=first + timedelta(hours=hours))
    row = Connection.objects.get(pk=acme.connection.pk)
    assert (row.first_push_at, row.last_push_at) == (first, first + timedelta(hours=5))
