"""What is removed when its time has come, and what stays."""

from datetime import timedelta

import pytest

from identity_hub.core.clock import now
from provisioning.decision.types import Actor, Intent
from provisioning.models import (
    Account,
    Alias,
    AuditRecord,
    AuditValue,
    Hold,
    Identity,
    OutboxMessage,
    ReconciliationItem,
    ReconciliationRun,
    ScimRequest,
    Session,
    Tombstone,
)
from provisioning.request_log import Entry, note
from provisioning.services import configuration, linking, retention, submit

from ..cast import OPERATOR, House, extend, push, pushed, user

SCHEDULE = Actor(kind="schedule")
AFTER = timedelta(days=91)

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaver(acme: House) -> Account:
    outcome = push(acme, user("ada@acme.example", "e1"))
    renamed = user("ada.l@acme.example", "e1")
    submit(pushed(acme, Intent.UPDATE, renamed, account_id=outcome.account_id))
    submit(pushed(acme, Intent.DELETE, account_id=outcome.account_id))
    return Account.objects.get(pk=outcome.account_id)


def personal() -> str:
    """Everything stored that may carry a person's data."""
    rows = [
        *Account.objects.values_list("user_name", "external_id", "email_keys", "resource", "assertion"),
        *Identity.objects.values_list("user_name", "email", "given_name", "family_name", "display_name"),
        *Alias.objects.values_list("value"),
        *AuditValue.objects.values_list("values"),
        *AuditRecord.objects.values_list("changes"),
    ]
    return repr(rows)


def test_inside_retention_nothing_goes(leaver: Account) -> None:
    before = personal()
    assert retention.purge_deleted(at=now() + timedelta(days=89), actor=SCHEDULE) == 0
    assert personal() == before


def test_after_retention_the_data_goes_and_the_trace_stays(leaver: Account) -> None:
    assert "ada" in personal().lower()
    at = now() + AFTER
    assert retention.purge_deleted(at=at, actor=SCHEDULE) == 1
    assert "ada" not in personal().lower()
    grave = Tombstone.objects.get(pk=leaver.pk)
    assert grave.purged_at == at
    assert grave.user_name_digest
    assert grave.external_id_digest
    assert Account.objects.get(pk=leaver.pk).identity_id == leaver.identity_id
    assert Hold.objects.filter(identity_id=leaver.identity_id, kind="scim").exists()
    record = AuditRecord.objects.get(reason="account:purged")
    assert (record.account_id, record.identity_id) == (leaver.pk, leaver.identity_id)
    assert retention.purge_deleted(at=at, actor=SCHEDULE) == 0


def test_a_recycled_name_is_still_noticed(acme: House, leaver: Account) -> None:
    retention.purge_deleted(at=now() + AFTER, actor=SCHEDULE)
    outcome = push(acme, user("ada.l@acme.example", "e2"))
    assert outcome.situation == "recycled"
    assert outcome.identity_id != leaver.identity_id


def test_an_identity_with_another_account_keeps_what_that_one_says(acme: House) -> None:
    other = extend(acme.tenant, "Other", trusted_email=True)
    first = push(acme, user("ada@acme.example", "e1"))
    second = push(other, user("ada@acme.example", "x1"))
    assert second.identity_id == first.identity_id
    submit(pushed(acme, Intent.DELETE, account_id=first.account_id))
    retention.purge_deleted(at=now() + AFTER, actor=SCHEDULE)
    assert Identity.objects.get().email == "ada@acme.example"
    assert Account.objects.get(pk=second.account_id).user_name == "ada@acme.example"
    assert Account.objects.get(pk=first.account_id).user_name == ""


def test_who_signs_in_here_keeps_the_name_for_that_and_nothing_of_an_account_that_is_gone(
    acme: House,
) -> None:
    boss = configuration.create_local_identity(
        login_name="Boss", password="correct horse battery", tenant=acme.tenant, actor=OPERATOR, reason="x"
    )
    pushed_one = push(acme, user("ada@acme.example", "e1"))
    account = Account.objects.get(pk=pushed_one.account_id)
    assert linking.link(account=account, identity=boss, actor=OPERATOR, reason="She is").accepted
    boss.refresh_from_db()
    assert boss.email == "ada@acme.example"
    submit(pushed(acme, Intent.DELETE, account_id=account.pk))
    retention.purge_deleted(at=now() + AFTER, actor=SCHEDULE)
    boss.refresh_from_db()
    assert (boss.user_name, boss.user_name_key, boss.email, boss.family_name) == ("Boss", "boss", "", "")
    assert "ada@acme.example" not in personal()


def test_somebody_who_came_back_keeps_everything_but_the_old_account(acme: House, leaver: Account) -> None:
    back = push(acme, user("ada@acme.example", "e1"))
    assert back.reason == "account:returned"
    retention.purge_deleted(at=now() + AFTER, actor=SCHEDULE)
    identity = Identity.objects.get(pk=leaver.identity_id)
    assert identity.email == "ada@acme.example"
    assert Account.objects.get(pk=back.account_id).resource["userName"] == "ada@acme.example"


def test_many_leave_in_batches(acme: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for n in range(5):
        outcome = push(acme, user(f"p{n}@acme.example", f"e{n}"))
        submit(pushed(acme, Intent.DELETE, account_id=outcome.account_id))
    assert retention.purge_deleted(at=now() + AFTER, actor=SCHEDULE) == 5


def test_expired_sessions_and_delivered_messages_go() -> None:
    at = now()
    for key, expires in (("old", at - timedelta(seconds=1)), ("new", at + timedelta(hours=1))):
        Session.objects.create(session_key=key, session_data="", expire_date=expires)
    for done in (None, at, at - timedelta(days=8)):
        OutboxMessage.objects.create(topic="test", done_at=done)
    assert (retention.trim_sessions(at=at), retention.trim_outbox(at=at)) == (1, 1)
    assert Session.objects.get().pk == "new"
    assert OutboxMessage.objects.count() == 2


def test_requests_stay_in_the_log_for_90_days(acme: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    for days in (0, 89, 90, 91, 200, 300, 400):
        note(
            Entry(
                tenant_id=acme.tenant.pk,
                connection_id=acme.connection.pk,
                token_id=acme.connection.pk,
                digest_key=bytes(acme.tenant.digest_key),
                at=now() - timedelta(days=days),
                method="POST",
                action="user.create",
                status=201,
                milliseconds=1,
            )
        )
    assert retention.trim_requests(at=now()) == 5
    assert retention.trim_requests(at=now()) == 0
    assert ScimRequest.objects.count() == 2


class TestRuns:
    AGES = {29: {"reported", "unchanged", "applied"}, 31: {"applied"}, 366: set()}
    """Days since a run finished -> the statuses of its items that are kept."""

    def test_what_was_only_said_goes_after_a_month_and_a_run_after_a_year(
        self, acme: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
        for days in self.AGES:
            run = ReconciliationRun.objects.create(
                tenant=acme.tenant,
                connection=acme.connection,
                status="done",
                finished_at=now() - timedelta(days=days),
            )
            for status in ("reported", "unchanged", "applied"):
                ReconciliationItem.objects.create(
                    tenant=acme.tenant, run=run, check_name="never-came", reason="account:x", status=status
                )
        at_work = ReconciliationRun.objects.create(tenant=acme.tenant, connection=acme.connection)
        assert retention.trim_runs(at=now()) == 5
        assert retention.trim_runs(at=now()) == 0
        kept = {
            (now() - run.finished_at).days: set(run.items.values_list("status", flat=True))
            for run in ReconciliationRun.objects.exclude(pk=at_work.pk)
        }
        assert kept == {days: statuses for days, statuses in self.AGES.items() if statuses}
        assert ReconciliationRun.objects.filter(pk=at_work.pk).exists()
