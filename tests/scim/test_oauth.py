"""OAuth 2.0 client credentials: the token endpoint as a client meets it, over real HTTP where that matters."""

import base64
from typing import Any

import pytest
import requests
import time_machine
from django.http import HttpResponse
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from identity_hub.core import allowance
from identity_hub.core.clock import now
from provisioning.models import AuditRecord, Connection, ScimClient, ScimToken
from provisioning.services.tokens import create_client, revoke_client, trim_access_tokens
from scim import oauth, rates
from tests.provisioning.cast import OPERATOR
from tests.scim.clients import Idp

pytestmark = pytest.mark.django_db

ENDPOINT = "/scim/oauth/token"
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(autouse=True)
def _nobody_has_asked_yet() -> None:
    oauth.forget()
    allowance.forget()


@pytest.fixture
def made(idp: Idp) -> tuple[ScimClient, str]:
    return create_client(connection=idp.connection, actor=OPERATOR, reason="As agreed", name="Okta")


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def ask(
    body: dict[str, Any] | str, headers: dict[str, str] | None = None, address: str = "192.0.2.1", **more: Any
) -> HttpResponse:
    text = body if isinstance(body, str) else "&".join(f"{name}={value}" for name, value in body.items())
    options = {"content_type": "application/x-www-form-urlencoded"} | more
    return Client(REMOTE_ADDR=address).post(ENDPOINT, data=text, headers=headers or {}, **options)


def refusal(answer: HttpResponse) -> tuple[int, str]:
    """RFC 6749 5.2: JSON with an error code, kept by nobody."""
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    said = answer.json()
    assert set(said) <= {"error", "error_description"}
    # "Values for the "error_description" parameter MUST NOT include characters outside the set" of RFC 6749 5.2.
    assert all(" " <= letter <= "~" and letter not in '"\\' for letter in said.get("error_description", ""))
    return answer.status_code, said["error"]


@pytest.mark.parametrize("way", ["basic", "post"])
def test_a_secret_is_exchanged_for_a_token_of_an_hour(idp: Idp, made: Any, way: str) -> None:
    client, secret = made
    if way == "basic":
        answer = ask(GRANT, basic(client.client_id, secret))
    else:
        answer = ask(GRANT | {"client_id": client.client_id, "client_secret": secret})
    assert answer.status_code == 200
    # RFC 6749 5.1: "The authorization server MUST include the HTTP "Cache-Control" response header field with a
    # value of "no-store"".
    assert (answer["Cache-Control"], answer["Pragma"]) == ("no-store", "no-cache")
    said = answer.json()
    token = said.pop("access_token")
    assert said == {"token_type": "Bearer", "expires_in": 3600, "scope": "read users groups"}
    headers = {"Authorization": f"Bearer {token}"}
    assert Client().get("/scim/v2/Users", headers=headers).status_code == 200
    with time_machine.travel(now().timestamp() + 3601):
        assert Client().get("/scim/v2/Users", headers=headers).status_code == 401


def test_what_it_may_is_what_was_asked_for_and_granted(idp: Idp) -> None:
    client, secret = create_client(
        connection=idp.connection, actor=OPERATOR, reason="As agreed", scopes=["read", "users"]
    )
    who = basic(client.client_id, secret)
    assert ask(GRANT, who).json()["scope"] == "read users"
    assert ask(GRANT | {"scope": "users+users"}, who).json()["scope"] == "users"
    # RFC 6749 3.2: "Parameters sent without a value MUST be treated as if they were omitted from the request."
    assert ask(GRANT | {"scope": ""}, who).json()["scope"] == "read users"
    for scope in ("groups", "users+groups", "everything", "https://graph.example/.default"):
        assert refusal(ask(GRANT | {"scope": scope}, who)) == (400, "invalid_scope")
    assert sorted(
        set(map(tuple, ScimToken.objects.filter(client=client).values_list("scopes", flat=True)))
    ) == [
        ("read", "users"),
        ("users",),
    ]


def test_who_obtained_what_is_on_record(made: Any) -> None:
    client, secret = made
    token = ask(GRANT, basic(client.client_id, secret)).json()["access_token"]
    record = AuditRecord.objects.get(reason="token:obtained")
    row = ScimToken.objects.get(client=client)
    assert (record.actor_kind, record.actor_id, record.object_id) == ("client", str(client.pk), row.pk)
    assert token not in str(record.changes)
    client.refresh_from_db()
    assert client.last_used_at is not None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"only-a-name").decode()},
        {"Authorization": "Basic ünlesbar"},
        {"Authorization": "Bearer x"},
        basic("0" * 32, "wrong"),
        basic("", ""),
        basic("a" * 9000, "wrong"),
        basic("x\x00y", "wrong"),
    ],
)
def test_who_is_not_a_client_is_told_nothing_else(db: None, headers: dict[str, str]) -> None:
    """RFC 6749 5.2: 401 "and include the "WWW-Authenticate" response header field"."""
    answer = ask(GRANT, headers)
    assert refusal(answer) == (401, "invalid_client")
    assert answer["WWW-Authenticate"].startswith("Basic")


def _revoked(client: ScimClient) -> None:
    revoke_client(client=client, actor=OPERATOR, reason="As agreed")


@pytest.mark.parametrize("status", ["draft", "frozen"])
def test_a_connection_that_admits_nobody_still_hears_of_leavers(made: Any, status: str) -> None:
    client, secret = made
    Connection.objects.update(status=status)
    assert ask(GRANT, basic(client.client_id, secret)).status_code == 200


@pytest.mark.parametrize(
    "spoil",
    [
        _revoked,
        lambda client: Connection.objects.update(status="disabled"),
        lambda client: Connection.objects.update(scim_enabled=False),
    ],
    ids=["revoked", "connection disabled", "SCIM switched off"],
)
def test_a_spoilt_client_reads_as_an_unknown_one(made: Any, spoil: Any) -> None:
    client, secret = made
    unknown = ask(GRANT, basic("0" * 32, secret))
    wrong = ask(GRANT, basic(client.client_id, "wrong"))
    spoil(client)
    spoilt = ask(GRANT, basic(client.client_id, secret))
    assert spoilt.status_code == 401
    assert spoilt.content == unknown.content == wrong.content


def test_an_unknown_client_costs_the_same(made: Any, django_assert_num_queries: Any) -> None:
    client, _ = made
    for name in (client.client_id, "0" * 32):
        with django_assert_num_queries(1):
            ask(GRANT, basic(name, "wrong"))


@pytest.mark.parametrize(
    ("body", "more", "expected"),
    [
        ("", {}, "invalid_request"),
        ("scope=read", {}, "invalid_request"),
        ("grant_type=", {}, "invalid_request"),
        ("grant_type=password&username=a&password=b", {}, "unsupported_grant_type"),
        ("grant_type=authorization_code&code=x", {}, "unsupported_grant_type"),
        ("grant_type=client_credentials&grant_type=client_credentials", {}, "invalid_request"),
        ("grant_type=client_credentials&scope=read&scope=users", {}, "invalid_request"),
        ('{"grant_type": "client_credentials"}', {"content_type": "application/json"}, "invalid_request"),
        ("grant_type=client_credentials", {"content_type": "text/plain"}, "invalid_request"),
        ("x=" + "y" * 9000, {}, "invalid_request"),
        ("&".join(f"a{n}=1" for n in range(1500)), {}, "invalid_request"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_is_no_token_request_is_refused(
    made: Any, body: str, more: dict[str, str], expected: str
) -> None:
    client, secret = made
    assert refusal(ask(body, basic(client.client_id, secret), **more)) == (400, expected)
    assert not ScimToken.objects.filter(client=client).exists()


def test_two_ways_to_authenticate_are_one_too_many(made: Any) -> None:
    """RFC 6749 2.3: "The client MUST NOT use more than one authentication method in each request."."""
    client, secret = made
    body = GRANT | {"client_id": client.client_id, "client_secret": secret}
    assert refusal(ask(body, basic(client.client_id, secret))) == (400, "invalid_request")
    # The name alone is no authentication; some clients send it along.
    assert ask(GRANT | {"client_id": client.client_id}, basic(client.client_id, secret)).status_code == 200


def test_credentials_in_the_address_are_none(made: Any) -> None:
    """RFC 6749 2.3.1: the parameters "MUST NOT be included in the request URI"."""
    client, secret = made
    answer = Client().post(
        f"{ENDPOINT}?grant_type=client_credentials&client_id={client.client_id}&client_secret={secret}",
        data="grant_type=client_credentials",
        content_type="application/x-www-form-urlencoded",
    )
    assert refusal(answer) == (401, "invalid_client")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_it_takes_posts_only(db: None, method: str) -> None:
    """RFC 6749 3.2: "The client MUST use the HTTP "POST" method when making access token requests."."""
    answer = getattr(Client(), method)(ENDPOINT)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.usefixtures("minute")
class TestLimits:
    def test_guessing_a_secret_ends_soon_and_locks_nobody_else_out(self, made: Any) -> None:
        client, secret = made
        for _ in range(oauth.FAILURES_A_MINUTE):
            assert refusal(ask(GRANT, basic(client.client_id, "wrong")))[0] == 401
        refusal(ask(GRANT, basic(client.client_id, "wrong")))
        stopped = ask(GRANT, basic(client.client_id, secret))
        assert refusal(stopped) == (429, "temporarily_unavailable")
        assert 1 <= int(stopped["Retry-After"]) <= 60
        assert ask(GRANT, basic(client.client_id, secret), address="192.0.2.2").status_code == 200

    def test_guessing_many_names_ends_for_the_address_but_not_for_clients_that_are_known(
        self, idp: Idp, made: Any, minute: time_machine.Traveller
    ) -> None:
        client, secret = made
        stranger, other_secret = create_client(connection=idp.connection, actor=OPERATOR, reason="As agreed")
        assert ask(GRANT, basic(client.client_id, secret)).status_code == 200
        answers = [ask(GRANT, basic(f"{n:032x}", "wrong")).status_code for n in range(70)]
        assert answers.count(401) == rates.FAILURES_A_MINUTE + 1
        assert answers[-1] == 429
        assert ask(GRANT, basic(client.client_id, secret)).status_code == 200
        assert ask(GRANT, basic(stranger.client_id, other_secret)).status_code == 429
        minute.shift(60)
        assert ask(GRANT, basic(stranger.client_id, other_secret)).status_code == 200

    def test_a_client_that_keeps_no_token_is_slowed_down(self, made: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(oauth, "ISSUED_A_MINUTE", 2)
        client, secret = made
        answers = [ask(GRANT, basic(client.client_id, secret)).status_code for _ in range(3)]
        assert answers == [200, 200, 429]
        assert ScimToken.objects.filter(client=client).count() == 2


def test_tokens_that_ended_are_trimmed(idp: Idp, made: Any) -> None:
    client, secret = made
    ask(GRANT, basic(client.client_id, secret))
    assert trim_access_tokens(at=now()) == 0
    with time_machine.travel(now().timestamp() + 2 * 86400):
        ask(GRANT, basic(client.client_id, secret))
        assert trim_access_tokens(at=now()) == 1
    assert ScimToken.objects.filter(client=client).count() == 1
    assert ScimToken.objects.filter(client=None).count() == 1


def test_discovery_says_where_to_ask(idp: Idp) -> None:
    schemes = {
        scheme["type"]: scheme for scheme in idp.get("/ServiceProviderConfig").json()["authenticationSchemes"]
    }
    assert set(schemes) == {"oauthbearertoken", "oauth2"}
    assert ENDPOINT in schemes["oauth2"]["description"]


@pytest.mark.django_db(transaction=True)
def test_a_real_client_obtains_a_token_and_pushes_with_it(live_server: LiveServer, idp: Idp) -> None:
    client, secret = create_client(
        connection=idp.connection, actor=OPERATOR, reason="As agreed", scopes=["users"]
    )
    answer = requests.post(
        live_server.url + ENDPOINT, data=GRANT, auth=(client.client_id, secret), timeout=10
    )
    assert answer.status_code == 200
    session = requests.Session()
    session.headers["Authorization"] = f"{answer.json()['token_type']} {answer.json()['access_token']}"
    pushed = session.post(f"{live_server.url}/scim/v2/Users", json={"userName": "ada@x.example"}, timeout=10)
    assert pushed.status_code == 201
    found = session.get(
        f"{live_server.url}/scim/v2/Users", params={"filter": 'userName eq "ada@x.example"'}, timeout=10
    )
    assert found.json()["totalResults"] == 1
    revoke_client(client=client, actor=OPERATOR, reason="Left")
    assert session.get(f"{live_server.url}/scim/v2/Users", timeout=10).status_code == 401
    again = requests.post(live_server.url + ENDPOINT, data=GRANT, auth=(client.client_id, secret), timeout=10)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
