"""Overrides in the database: set, shown, ended early and in time, beside pushes, logins, runs and the retention."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import Actor, Intent, UpdateIdentity
from provisioning.models import Account, AuditRecord, AuditValue, Identity, Override
from provisioning.selectors import people_search, story
from provisioning.selectors.invariants import violations
from provisioning.services import merging, overrides, retention, submit, undo
from provisioning.services.invalid import Invalid
from provisioning.services.submission import simulate_many
from provisioning.tasks.overrides import end_overrides

from ..cast import OPERATOR, House, asserted, extend, push, pushed, sign_in, user
from .test_races import at_once

pytestmark = pytest.mark.django_db

SCHEDULE = Actor(kind="schedule")


def person(outcome: Any) -> Identity:
    return Identity.objects.get(pk=outcome.identity_id)


def override(identity: Identity, attribute: str, value: str, **more: Any) -> Any:
    facts: dict[str, Any] = {
        "until": now() + timedelta(days=30),
        "reason": "The directory is late",
        "actor": OPERATOR,
    }
    return overrides.override(identity=identity, attribute=attribute, value=value, **facts | more)


def lapsed() -> datetime:
    """A moment at which what was set has come to its end."""
    return now() + timedelta(days=31)


def lawful(tenant: Any) -> list[str]:
    return [one.law.name for one in violations(tenant_id=tenant.pk, at=now())]


@pytest.fixture
def ada(acme: House) -> Any:
    return push(acme, user("ada@acme.example", "e1", title="Clerk"))


def test_it_is_shown_over_pushes_logins_and_runs_and_no_account_says_it(acme: House, ada: Any) -> None:
    assert override(person(ada), "title", "Head of Sales").reason == "identity:overridden"
    submit(
        pushed(
            acme, Intent.UPDATE, user("ada@acme.example", "e1", title="Analyst"), account_id=ada.account_id
        )
    )
    sign_in(acme, "e1", login_names=("ada@acme.example",))
    reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
    assert person(ada).title == "Head of Sales"
    assert Account.objects.get(pk=ada.account_id).resource["title"] == "Analyst"
    assert lawful(acme.tenant) == []


def test_the_audit_names_it_and_its_values_stand_beside(acme: House, ada: Any) -> None:
    outcome = override(person(ada), "title", "Head of Sales")
    record = AuditRecord.objects.get(pk=outcome.audit_id)
    (set_, shown) = record.changes
    assert (set_["change"], set_["attribute"]) == ("SetOverride", "title")
    assert shown["attributes"] == ["title"]
    assert "Head of Sales" not in str(record.changes)
    values = AuditValue.objects.get(record_id=record.pk).values
    assert values["UpdateIdentity"] == {"before": {"title": "Clerk"}, "after": {"title": "Head of Sales"}}
    assert values["reason"] == "The directory is late"


def test_an_end_before_its_time_shows_the_sources_again(acme: House, ada: Any) -> None:
    override(person(ada), "title", "Head of Sales")
    outcome = overrides.end(override=Override.objects.get(), reason="Mended there", actor=OPERATOR)
    assert outcome.reason == "identity:override-ended"
    assert person(ada).title == "Clerk"
    row = Override.objects.get()
    assert (row.ended_by, row.ended_at is not None) == (OPERATOR.signature, True)
    again = overrides.end(override=row, reason="Once more", actor=OPERATOR)
    assert again.reason == "identity:unchanged"
    assert again.audit_id is None


def test_the_schedule_ends_what_has_come_to_its_end_once_and_in_every_tenant(
    acme: House, globex: House, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overrides, "BATCH", 2)
    everybody = [ada, *(push(acme, user(f"p{n}@acme.example", f"p{n}")) for n in range(3))]
    stranger = push(globex, user("x@globex.example", "x1"))
    for outcome in (*everybody, stranger):
        override(person(outcome), "title", "Head")
    later = override(person(ada), "department", "Sales", until=now() + timedelta(days=90))
    assert overrides.end_due(at=now()) == 0
    assert overrides.end_due(at=lapsed()) == 5
    assert overrides.end_due(at=lapsed()) == 0
    assert [person(outcome).title for outcome in (*everybody, stranger)] == ["Clerk", "", "", "", ""]
    assert person(ada).department == "Sales"
    assert Override.objects.filter(ended_at=None).count() == 1
    assert later.accepted
    record = AuditRecord.objects.filter(reason="identity:override-ended").latest("id")
    assert (record.actor_kind, record.tenant_id) == ("schedule", globex.tenant.pk)


def test_the_job_ends_what_is_due(ada: Any) -> None:
    override(person(ada), "title", "Head")
    end_overrides()
    assert person(ada).title == "Head"
    moments = {"set_at": now() - timedelta(days=2), "until": now() - timedelta(minutes=1)}
    Override.objects.update(**moments)
    end_overrides()
    assert person(ada).title == "Clerk"


def test_what_touches_somebody_after_the_end_shows_the_sources_before_the_schedule_does(
    acme: House, ada: Any
) -> None:
    override(person(ada), "title", "Head")
    document = user("ada@acme.example", "e1", title="Clerk", nickName="Ada")
    submit(pushed(acme, Intent.UPDATE, document, account_id=ada.account_id, at=lapsed()))
    assert person(ada).title == "Clerk"
    assert overrides.end_due(at=lapsed()) == 1


def test_a_second_one_replaces_the_first_and_the_database_keeps_one(ada: Any) -> None:
    override(person(ada), "title", "Head")
    override(person(ada), "title", "Chief")
    assert person(ada).title == "Chief"
    live = Override.objects.get(ended_at=None)
    assert (live.value, live.instead_of) == ("Chief", "Clerk")
    with pytest.raises(IntegrityError), transaction.atomic():
        Override.objects.create(
            tenant_id=live.tenant_id,
            identity_id=live.identity_id,
            attribute="title",
            value="Third",
            reason="Past the door",
            until=live.until,
            set_by="x",
            set_at=live.set_at,
        )


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "no reason": ({"reason": "  "}, "reason"),
    "a name that sources know somebody by": ({"attribute": "user_name"}, "attribute"),
    "an HR number": ({"attribute": "hr_number"}, "attribute"),
    "what is the person's own": ({"attribute": "locale"}, "attribute"),
    "nothing to show": ({"value": " \t "}, "value"),
    "more than there is room for": ({"value": "x" * 257}, "value"),
    "what no table keeps": ({"value": "a\x00b"}, "value"),
    "letters that are turned around": ({"value": "Head\u202e fo"}, "value"),
    "no e-mail": ({"attribute": "email", "value": "ada"}, "value"),
    "an end that is past": ({"until": now() - timedelta(minutes=1)}, "until"),
    "more than a year": ({"until": now() + timedelta(days=367)}, "until"),
}


@pytest.mark.parametrize(("said", "field"), UNFIT.values(), ids=UNFIT)
def test_it_is_refused_with(ada: Any, said: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        override(person(ada), **{"attribute": "title", "value": "Head"} | said)
    assert refusal.value.field == field
    assert not Override.objects.exists()


class TestOfAnEmail:
    """Attack: shown with somebody else's e-mail, an identity waits for that person's account to be linked to it."""

    def test_it_is_no_key(self, acme: House, ada: Any) -> None:
        okta = extend(acme.tenant, "Okta", trusted_email=True)
        override(person(ada), "email", "victim@acme.example")
        shown = person(ada)
        assert (shown.email, shown.email_key) == ("victim@acme.example", "ada@acme.example")
        assert shown.email_changed_at is None
        victim = push(okta, user("victim@acme.example", "v1"))
        assert victim.reason == "account:created"
        assert victim.identity_id != ada.identity_id
        adas_other = push(okta, user("ada@acme.example", "a1"))
        assert (adas_other.reason, adas_other.identity_id) == ("account:linked", ada.identity_id)
        assert lawful(acme.tenant) == []

    def test_the_key_follows_the_source(self, acme: House, ada: Any) -> None:
        override(person(ada), "email", "shown@acme.example")
        document = user("ada@acme.example", "e1", emails=[{"value": "Next@acme.example", "type": "work"}])
        submit(pushed(acme, Intent.UPDATE, document, account_id=ada.account_id))
        shown = person(ada)
        assert (shown.email, shown.email_key) == ("shown@acme.example", "next@acme.example")
        assert shown.email_changed_at is not None
        assert overrides.end_due(at=lapsed()) == 1
        assert person(ada).email == "Next@acme.example"

    def test_an_administrator_finds_the_person_by_either(self, acme: House, ada: Any) -> None:
        override(person(ada), "email", "Shown@acme.example")
        for key in ("shown@ACME.example", "ada@acme.example"):
            assert people_search.ids(key, tenant_id=acme.tenant.pk) == [ada.identity_id]


def test_a_merge_leaves_it_where_it_is_and_an_unmerge_shows_it_again(acme: House, ada: Any) -> None:
    other = push(extend(acme.tenant, "Okta"), user("adal@okta.example", "o1"))
    override(person(other), "title", "Chief")
    merging.merge(winner=person(ada), loser=person(other), reason="One", actor=OPERATOR)
    assert person(ada).title == "Clerk"
    merging.unmerge(merge=person(ada).merges.get(), reason="Two", actor=OPERATOR)
    assert person(other).title == "Chief"
    assert lawful(acme.tenant) == []
    assert overrides.end_due(at=lapsed()) == 1
    assert person(other).title == ""


def test_its_end_shows_what_the_sources_said_last_also_of_whoever_has_no_account_any_more(
    acme: House, ada: Any
) -> None:
    override(person(ada), "title", "Head")
    document = user("ada@acme.example", "e1", title="Counsel")
    submit(pushed(acme, Intent.UPDATE, document, account_id=ada.account_id))
    submit(pushed(acme, Intent.DELETE, account_id=ada.account_id))
    assert person(ada).title == "Head"
    assert overrides.end_due(at=lapsed()) == 1
    assert person(ada).title == "Counsel"
    assert lawful(acme.tenant) == []


def test_after_the_retention_nothing_of_it_is_left(acme: House, ada: Any) -> None:
    override(person(ada), "title", "Head of Sales")
    submit(pushed(acme, Intent.DELETE, account_id=ada.account_id))
    assert person(ada).title == "Head of Sales"
    retention.purge_deleted(at=now() + timedelta(days=91), actor=SCHEDULE)
    row = Override.objects.get()
    assert (row.value, row.instead_of, row.reason, row.ended_by) == ("", "", "", "schedule:")
    assert person(ada).title == ""
    assert not AuditValue.objects.filter(identity_id=ada.identity_id).exists()
    assert overrides.end_due(at=lapsed()) == 0


def test_what_sources_say_at_length_is_cut_as_it_is_without_an_override(acme: House, ada: Any) -> None:
    def says(title: str) -> None:
        document = user("ada@acme.example", "e1", title=title)
        submit(pushed(acme, Intent.UPDATE, document, account_id=ada.account_id))

    says("a" * 600)
    override(person(ada), "title", "Head")
    assert Override.objects.get().instead_of == "a" * 256
    says("b" * 600)
    assert Override.objects.get().instead_of == "b" * 256
    assert overrides.end_due(at=lapsed()) == 1
    assert person(ada).title == "b" * 256


@pytest.mark.parametrize("days", [0, 91], ids=["deleted", "purged"])
def test_of_somebody_without_a_live_account_nothing_is_overridden(acme: House, ada: Any, days: int) -> None:
    submit(pushed(acme, Intent.DELETE, account_id=ada.account_id))
    retention.purge_deleted(at=now() + timedelta(days=days), actor=SCHEDULE)
    with pytest.raises(Invalid) as refusal:
        override(person(ada), "title", "Head of Sales")
    assert refusal.value.field == "identity"
    assert not Override.objects.exists()


def test_of_a_local_identity_it_is_overridden_without_an_account(acme: House) -> None:
    root = Identity.objects.create(tenant=acme.tenant, local=True, login_name="root", display_name="Root")
    assert override(root, "title", "Keeper").reason == "identity:overridden"


def test_a_run_is_taken_back_though_somebody_was_overridden_since(acme: House, ada: Any) -> None:
    old = sign_in(acme, "late", at=now() - timedelta(days=30))
    run = reconciliation.execute(reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed"))
    override(person(old), "title", "Head")
    (prospect,) = undo.preview(run, list(undo.items_of(run)))
    assert prospect.possible


def test_the_story_tells_it(acme: House, ada: Any) -> None:
    override(person(ada), "title", "Head")
    overrides.end(override=Override.objects.get(), reason="Mended there", actor=OPERATOR)
    told = story.page(person(ada), kind="override").entries
    assert [entry.reason for entry in told] == ["identity:override-ended", "identity:overridden"]
    assert ("identity title", "Clerk", "Head") in told[1].lines


def test_it_is_foreseen_without_being_set(acme: House, ada: Any) -> None:
    override(person(ada), "title", "Head")
    document = user("ada@acme.example", "e1", title="Analyst")
    ((decision, _),) = simulate_many([pushed(acme, Intent.UPDATE, document, account_id=ada.account_id)])
    (update,) = [change for change in decision.changes if isinstance(change, UpdateIdentity)]
    assert (update.profile.title, update.instead_of) == ("Head", {"title": "Analyst"})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(6))
def test_whoever_signs_in_or_is_pushed_at_that_moment_shows_it(acme: House, round_: int) -> None:
    ada = push(acme, user("ada@acme.example", "e1"))
    sign_in(acme, "e1", login_names=("ada@acme.example",))
    document = user("ada@acme.example", "e1", title=f"Clerk {round_}")
    at_once(
        lambda: override(person(ada), "title", "Head"),
        lambda: submit(pushed(acme, Intent.UPDATE, document, account_id=ada.account_id)),
        lambda: submit(asserted(acme, "e1", login_names=("ada@acme.example",))),
        lambda: override(person(ada), "title", "Head"),
    )
    assert person(ada).title == "Head"
    assert Override.objects.filter(ended_at=None).count() == 1
    at_once(lambda: overrides.end_due(at=lapsed()), lambda: overrides.end_due(at=lapsed()))
    assert person(ada).title == f"Clerk {round_}"
    assert AuditRecord.objects.filter(reason="identity:override-ended").count() <= 2
    assert lawful(acme.tenant) == []
