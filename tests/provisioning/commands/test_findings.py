"""Findings by command: what waits, and what is decided about it."""

import pytest

from provisioning.models import Finding, Hold, Identity
from provisioning.services import configuration

from ..cast import OPERATOR, House, extend, push, sign_in, user
from .conftest import Run


@pytest.fixture
def request_of_ada(acme: House) -> Finding:
    configuration.change_connection(
        connection=acme.connection, changes={"jit_approval": True}, actor=OPERATOR, reason="As agreed"
    )
    sign_in(acme, "ada")
    return Finding.objects.get()


def test_what_waits_is_listed_for_its_tenant(
    run: Run, read: Run, request_of_ada: Finding, globex: House
) -> None:
    (told,) = run("list_findings", "--tenant", "acme")["findings"]
    assert (told["id"], told["kind"]) == (str(request_of_ada.pk), "account:approval-requested")
    assert told["about"] == "ada"
    assert "account:approval-requested" in read("list_findings", "--tenant", "acme")
    assert run("list_findings", "--tenant", "acme", "--kind", "token:expires")["findings"] == []
    assert read("list_findings", "--tenant", "globex").strip() == "Nothing waits."


@pytest.mark.parametrize(
    ("option", "status", "reason", "holds", "login"),
    [
        ("--approve", "approved", "identity:released", [], "login:account-bound"),
        ("--reject", "rejected", "identity:held", ["admin"], "login:identity-held"),
    ],
)
def test_a_person_who_waits_is_let_in_or_kept_out(
    run: Run,
    acme: House,
    request_of_ada: Finding,
    option: str,
    status: str,
    reason: str,
    holds: list[str],
    login: str,
) -> None:
    said = run("decide_finding", str(request_of_ada.pk), option, "--reason", "asked her manager")
    assert (said["status"], said["reason"], said["accepted"]) == (status, reason, True)
    assert list(Hold.objects.values_list("kind", flat=True)) == holds
    assert sign_in(acme, "ada").reason == login


def test_a_waiting_account_is_tied_to_the_person_who_is_named(run: Run, fail: Run, acme: House) -> None:
    first = push(acme, user("ada@acme.example", "e1"))
    other = extend(acme.tenant, "Other")
    push(other, user("a.lovelace@acme.example", "e2", emails=[{"value": "ada@acme.example"}]))
    finding = Finding.objects.get(kind="account:weak-match")
    stranger = str(finding.pk)
    fail("decide_finding", str(finding.pk), "--approve", "--reason", "x", "--identity", stranger)
    said = run(
        "decide_finding",
        str(finding.pk),
        "--approve",
        "--reason",
        "the same",
        "--identity",
        str(first.identity_id),
    )
    assert said["reason"] == "account:linked"
    assert Identity.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{}", "--reason", "x"], "--approve"),
        (["{}", "--approve", "--reason", "  "], "why"),
        (["nonsense", "--approve", "--reason", "x"], "no finding"),
    ],
    ids=["without a decision", "with an empty reason", "of nothing"],
)
def test_nothing_is_decided(fail: Run, request_of_ada: Finding, arguments: list[str], says: str) -> None:
    said = fail("decide_finding", *[word.format(request_of_ada.pk) for word in arguments])
    assert says in said
    request_of_ada.refresh_from_db()
    assert request_of_ada.status == Finding.Status.OPEN


def test_a_remedy_is_foreseen_and_carried_out(
    run: Run, read: Run, fail: Run, request_of_ada: Finding
) -> None:
    finding = str(request_of_ada.pk)
    let_in, keep_out = run("decide_finding", finding, "--foresee")["remedies"]
    assert (let_in["remedy"], let_in["changes"]) == ("let-in", ["LiftHold", "CloseFinding"])
    assert keep_out["remedy"] == "keep-out"
    assert "let-in" in read("decide_finding", finding, "--foresee")
    request_of_ada.refresh_from_db()
    assert request_of_ada.status == Finding.Status.OPEN
    assert "not there" in fail("decide_finding", finding, "--remedy", "hold:x", "--reason", "x")
    assert run("decide_finding", finding, "--remedy", "let-in", "--reason", "known")["status"] == "approved"


def test_a_finding_is_decided_once(run: Run, fail: Run, request_of_ada: Finding) -> None:
    run("decide_finding", str(request_of_ada.pk), "--approve", "--reason", "x")
    assert "already" in fail("decide_finding", str(request_of_ada.pk), "--reject", "--reason", "y")


def test_a_finding_gets_an_owner_and_another_day(run: Run, request_of_ada: Finding, acme: House) -> None:
    configuration.create_local_identity(
        login_name="root-acme",
        password="correct horse battery staple",
        tenant=acme.tenant,
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    finding = str(request_of_ada.pk)
    said = run("assign_finding", finding, "--to", "root-acme", "--due", "2099-01-31", "--reason", "on leave")
    assert (said["owner"], said["due"][:10]) == ("root-acme", "2099-01-31")
    (told,) = run("list_findings", "--tenant", "acme", "--owner", "root-acme", "--severity", "medium")[
        "findings"
    ]
    assert (told["owner"], told["overdue"]) == ("root-acme", False)
    for none in (["--overdue"], ["--unowned"], ["--owner", "ada"], ["--severity", "high"]):
        assert run("list_findings", "--tenant", "acme", *none)["findings"] == []
    said = run("assign_finding", finding, "--to-nobody", "--due", "by-severity", "--reason", "back")
    assert said["owner"] is None
    assert said["due"][:4] != "2099"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "who sees to it"),
        (["--to", "nobody-knows"], "Nobody"),
        (["--to", "ada"], "administrator"),
        (["--due", "2099-01-31", "--reason", ""], "why"),
        (["--due", "2000-01-31", "--reason", "x"], "still to come"),
        (["--due", "tomorrow", "--reason", "x"], "no day"),
        (["--due", "2099-02-31", "--reason", "x"], "no day"),
    ],
)
def test_nothing_is_assigned(fail: Run, request_of_ada: Finding, arguments: list[str], says: str) -> None:
    assert says in fail("assign_finding", str(request_of_ada.pk), *arguments)
    request_of_ada.refresh_from_db()
    assert (request_of_ada.owner, request_of_ada.due_at) == (None, None)
