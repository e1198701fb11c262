"""What a login costs, beside what other libraries take to read the same message: one process, one thread, one run.

A whole login is the POST to the ACS through the WSGI application with its middleware, as gunicorn calls it: until the
session's row is on disk and the answer made. Reading, ours and the others', ends with the person's name and attributes.
All of them take the same message, one after the other and each time in another order. What is compared is processor
time: of this process, of the programs that it starts, and of its database connection. On a machine that does nothing
else, that is the time it takes but for the wait for the disk at each commit.
"""

import gc
import logging.config
import os
import random
import resource
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
from django.conf import settings
from django.db import connection as database
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from identity_hub.core import logs
from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from identity_hub.wsgi import application
from provisioning.models import Connection
from provisioning.services import configuration
from provisioning.services.tokens import issue_token
from saml_sp import browser, encryption_keys, sign_in
from saml_sp.models import ConsumedAssertion, PendingRequest
from saml_sp.refusal import Refusal
from saml_sp.tasks import trim
from tests.benchmarks import rivals
from tests.benchmarks.population import BATCH, OPERATOR, SCIM, document
from tests.saml_sp.idp import Asked, TestIdp, encode, key_pair

PEOPLE = 10_000
BOUND = 200
PENDING = 20_000
CONSUMED = 1_000_000
BINDING = "b" * 43
THREADS = 4
"""Of a gunicorn worker, as docker/ starts it."""
RARELY = 10
"""Stock pysaml2 starts six programs for a message, so it gets one in so many."""

STYLES: dict[str, Callable[[TestIdp, Any, bytes], str]] = {
    "assertion signed": lambda idp, facts, _: idp.signed_assertion(facts),
    "both signed": lambda idp, facts, _: idp.signed_both(facts),
    "encrypted": lambda idp, facts, certificate: idp.encrypted(facts, certificate, alone=True),
}
KNOWN, FIRST, JIT = "login, known person", "login, first time (binds)", "login, unknown person (JIT)"
PARSING, PYTHON3_SAML, STOCK = "parsing alone", "python3-saml, parsing", "stock pysaml2, parsing"

MUSTS = {PARSING: 1.1, KNOWN: 0.8, FIRST: 0.8, JIT: 0.8}
TIMES_STOCK = 10

Times = dict[tuple[str, str], list[tuple[float, float]]]
"""(who, style) -> seconds: of processors, and of the clock on the wall."""


@dataclass
class House:
    """A connection with its IdP, and the people that SCIM pushed into it."""

    connection: Connection
    idp: TestIdp
    token: str
    certificate: bytes
    fresh: Iterator[int]
    strangers: Iterator[int]

    @property
    def domain(self) -> str:
        return f"{self.connection.tenant.slug}.example"


@dataclass(frozen=True)
class Message:
    encoded: str
    body: bytes
    """The form that brings it."""
    pending: PendingRequest


def call(method: str, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request through the WSGI application: (status, headers, body)."""
    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(settings.HUB_PORT),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_HOST": "127.0.0.1",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **headers,
    }
    answer = application(environ, lambda status, fields, *_: told.append((status, fields)))
    try:
        text = b"".join(answer)
    finally:
        answer.close()
    status, fields = told[0]
    return int(status.split()[0]), dict(fields), text


def move_in() -> House:
    slug = f"logins-{new_id().hex[-8:]}"
    tenant = configuration.create_tenant(
        slug=slug, name=slug, domains=[f"{slug}.example"], actor=OPERATOR, reason="As agreed"
    )
    idp = TestIdp(entity_id=f"https://{slug}.example/idp", keys=key_pair("bench"))
    connection = configuration.create_connection(
        tenant=tenant,
        name="Bench",
        status="active",
        jit="create",
        idp_metadata=idp.metadata(),
        requests_per_minute=0,
        actor=OPERATOR,
        reason="As agreed",
    )
    _, token = issue_token(connection=connection, actor=OPERATOR, reason="As agreed")
    certificate = encryption_keys.published(connection).certificate.encode()
    house = House(connection, idp, token, certificate, iter(range(BOUND, PEOPLE)), iter(range(10**9)))
    for start in range(0, PEOPLE, BATCH):
        operations = [
            {"method": "POST", "path": "/Users", "bulkId": str(n), "data": document(n, house.domain)}
            for n in range(start, start + BATCH)
        ]
        body = orjson.dumps({"schemas": [f"{SCIM}:api:messages:2.0:BulkRequest"], "Operations": operations})
        status, _, said = call(
            "POST",
            "/scim/v2/Bulk",
            body,
            HTTP_AUTHORIZATION=f"Bearer {token}",
            CONTENT_TYPE="application/scim+json",
        )
        if status != 200 or said.count(b'"201"') + said.count(b":201") < BATCH:
            raise SystemExit(f"Bulk: {status}: {said[:300]!r}")
    return house


def asked_for(house: House) -> PendingRequest:
    at = now()
    return PendingRequest(
        tenant_id=house.connection.tenant_id,
        connection=house.connection,
        request_id=f"_{new_id().hex}",
        browser_digest=browser.digest(BINDING),
        next_path="/me/",
        created_at=at,
        expires_at=at + sign_in.PENDING_LIFE,
    )


def mint(house: House, style: str, who: str, number: int) -> Message:
    """An answer about one person, to a request of its own (which the caller keeps)."""
    key = f"ext-{number}" if who != JIT else f"new-{number}"
    mail = f"person{number}@{house.domain}" if who != JIT else f"new{number}@{house.domain}"
    pending = asked_for(house)
    asked = Asked(
        id=pending.request_id,
        issuer=rivals.entity_id(house.connection.pk),
        acs=rivals.acs(house.connection.pk),
        url="",
    )
    facts = house.idp.facts(
        asked,
        now(),
        name_id=key,
        session_index=f"_s{new_id().hex}",
        attributes={
            "email": [mail],
            "givenName": [f"Given{number}"],
            "sn": ["Example"],
            "displayName": [f"Given{number} Example"],
            "department": ["Research"],
            "groups": ["staff", "everybody", "research"],
        },
    )
    encoded = encode(STYLES[style](house.idp, facts, house.certificate))
    return Message(encoded, urlencode({"SAMLResponse": encoded, "RelayState": ""}).encode(), pending)


def parsing(house: House) -> Callable[[Message], None]:
    """All that `sign_in.finish` does before it asks the database: the pending request is given instead."""
    request = RequestFactory().post(reverse("saml:acs", args=[house.connection.pk]))
    request.COOKIES[browser.COOKIE] = BINDING

    def read(message: Message) -> None:
        with given(message.pending):
            believed = sign_in._believe(request, house.connection, message.encoded, "", now())
        if isinstance(believed, Refusal):
            raise SystemExit(f"not believed: {believed}")

    return read


@contextmanager
def given(pending: PendingRequest) -> Iterator[None]:
    kept = sign_in._pending
    sign_in._pending = lambda *_: pending
    try:
        yield
    finally:
        sign_in._pending = kept


def log_in(house: House, message: Message) -> None:
    status, headers, said = call(
        "POST",
        urlsplit(rivals.acs(house.connection.pk)).path,
        message.body,
        HTTP_COOKIE=f"{browser.COOKIE}={BINDING}",
        HTTP_ORIGIN=house.idp.entity_id,
        CONTENT_TYPE="application/x-www-form-urlencoded",
    )
    if status != 302 or headers["Location"] != "/me/" or "hub_session" not in headers["Set-Cookie"]:
        raise SystemExit(f"login: {status}: {said[-600:]!r}")


def spent() -> tuple[float, float]:
    """Seconds of processors, and of the clock on the wall."""
    backend = database.connection.info.backend_pid
    programs = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Nanoseconds on a processor. The database runs beside us, as `make bench` starts it.
    kept = int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e9
    return time.process_time() + programs.ru_utime + programs.ru_stime + kept, time.perf_counter()


def person(house: House, number: int, who: str) -> int:
    if who == KNOWN:
        return number % BOUND
    return next(house.fresh if who == FIRST else house.strangers)


def persons(house: House, number: int) -> dict[str, int]:
    return {who: person(house, number, who) for who in (KNOWN, FIRST, JIT)}


def rounds(house: House, number: int, *, rivals_too: bool = True) -> Times:
    """Everything once for each style and round, in turn."""
    one = rivals.python3_saml(house.connection, house.idp)
    stock = rivals.stock_pysaml2(house.connection, house.idp) if rivals_too else None
    read = parsing(house)
    times: Times = defaultdict(list)
    for turn in range(-5, number):  # the first ones warm up
        for style in STYLES:
            messages = {who: mint(house, style, who, n) for who, n in persons(house, turn).items()}
            PendingRequest.objects.bulk_create([message.pending for message in messages.values()])
            first = messages[KNOWN]
            work: list[tuple[str, Callable[[], None]]] = [
                (PYTHON3_SAML, lambda m=first: one(m.encoded, m.pending.request_id)),
                (PARSING, lambda m=first: read(m)),
                *((who, lambda m=message: log_in(house, m)) for who, message in messages.items()),
            ]
            if stock is not None and turn % RARELY == 0:
                work.append((STOCK, lambda m=first: stock(m.encoded, m.pending.request_id)))
            random.shuffle(work)
            for what, act in work:
                before = spent()
                act()
                after = spent()
                if turn >= 0:
                    times[what, style].append((after[0] - before[0], after[1] - before[1]))
    return times


def a_second(house: House, number: int) -> dict[tuple[str, str], float]:
    """(who, style) -> how many a second one process of as many threads as a gunicorn worker has gets through."""
    one = rivals.python3_saml(house.connection, house.idp)
    reached: dict[tuple[str, str], float] = {}
    with ThreadPoolExecutor(THREADS) as threads:
        for style in STYLES:
            for who in (KNOWN, FIRST, JIT):
                messages = [mint(house, style, who, person(house, n, who)) for n in range(number)]
                PendingRequest.objects.bulk_create([message.pending for message in messages])
                reached[who, style] = _rate(threads, messages, lambda m: log_in(house, m))
                if who == KNOWN:
                    reached[PYTHON3_SAML, style] = _rate(
                        threads, messages, lambda m: one(m.encoded, m.pending.request_id)
                    )
        list(threads.map(lambda _: database.close(), range(THREADS)))
    return reached


def _rate(threads: ThreadPoolExecutor, messages: list[Message], act: Callable[[Message], None]) -> float:
    started = time.perf_counter()
    list(threads.map(act, messages))
    return len(messages) / (time.perf_counter() - started)


def statements(house: House) -> dict[str, int]:
    """How many SQL statements a login takes (the ends of transactions left out)."""
    counted = {}
    for who, number in persons(house, 0).items():
        message = mint(house, "assertion signed", who, number)
        message.pending.save(force_insert=True)
        with CaptureQueriesContext(database) as captured:
            log_in(house, message)
        ends = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT")
        counted[who] = len([q for q in captured if not q["sql"].startswith(ends)])
    return counted


_FILL_PENDING = """
INSERT INTO saml_sp_pendingrequest
       (id, tenant_id, connection_id, request_id, browser_digest, next_path, created_at, expires_at, consumed_at)
SELECT gen_random_uuid(), %(tenant)s, %(connection)s, '_' || substr(encode(sha256(n::text::bytea), 'hex'), 1, 40),
       sha256(n::text::bytea), '/me/', now(), now() + interval '10 minutes', NULL
  FROM generate_series(1, %(number)s) AS n
"""
# As after a sign-in of a million people, when all of them are to be trimmed.
_FILL_CONSUMED = """
INSERT INTO saml_sp_consumedassertion
       (id, tenant_id, connection_id, key, message_digest, browser_digest, result_path, session_key,
        attempt_reference, created_at, expires_at)
SELECT gen_random_uuid(), %(tenant)s, %(connection)s, sha256(n::text::bytea), sha256((-n)::text::bytea),
       sha256('b'), '/me/', substr(encode(sha256(n::text::bytea), 'hex'), 1, 32),
       substr(encode(sha256(n::text::bytea), 'hex'), 1, 11), now(),
       now() - n * interval '67 minutes' / %(number)s
  FROM generate_series(1, %(number)s) AS n
"""


def fill(house: House) -> None:
    where = {"tenant": house.connection.tenant_id, "connection": house.connection.pk}
    with database.cursor() as cursor:
        cursor.execute(_FILL_PENDING, where | {"number": PENDING})
        cursor.execute(_FILL_CONSUMED, where | {"number": CONSUMED})
        cursor.execute("VACUUM ANALYZE saml_sp_pendingrequest, saml_sp_consumedassertion")


@dataclass(frozen=True)
class Trimmed:
    seconds: float
    rows: int
    longest_login: float
    logins: int


def trim_everything(house: House) -> Trimmed:
    """Trims what is over while people log in."""
    done: dict[str, Any] = {}

    def work() -> None:
        started = time.perf_counter()
        done["rows"] = sum(trim().values())
        done["seconds"] = time.perf_counter() - started
        database.close()

    beat = threading.Thread(target=work)
    beat.start()
    taken: list[float] = []
    while beat.is_alive() or not taken:
        message = mint(house, "assertion signed", KNOWN, len(taken) % BOUND)
        message.pending.save(force_insert=True)
        started = time.perf_counter()
        log_in(house, message)
        taken.append(time.perf_counter() - started)
    beat.join()
    return Trimmed(done["seconds"], done["rows"], max(taken), len(taken))


nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process


def quietly() -> None:
    """Log lines are made as a deployed hub makes them, and end nowhere. Memory as `identity_hub.web` sets it."""
    logging.config.dictConfig(logs.configure(as_json=True, level="INFO"))
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(nowhere)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def median(times: Times, what: str, style: str) -> float:
    """Milliseconds of processors."""
    return statistics.median(one for one, _ in times[what, style]) * 1000


def table(times: Times, counted: dict[str, int]) -> str:
    lines = [
        "| | " + " | ".join(f"{style}: ms | a second | ratio" for style in STYLES) + " | must | statements |",
        "|---|" + "---:|" * (3 * len(STYLES) + 2),
    ]
    for what in (PYTHON3_SAML, STOCK, PARSING, KNOWN, FIRST, JIT):
        if (what, "both signed") not in times:
            continue
        cells = []
        for style in STYLES:
            own = median(times, what, style)
            cells.append(f"{own:.2f} | {1000 / own:.0f} | {median(times, PYTHON3_SAML, style) / own:.2f}")
        must = f"{MUSTS[what]}" if what in MUSTS else ""
        lines.append(f"| {what} | " + " | ".join(cells) + f" | {must} | {counted.get(what, '')} |")
    walls = [
        f"{what} {statistics.median(wall for _, wall in times[what, 'assertion signed']) * 1000:.1f}"
        for what in (PYTHON3_SAML, PARSING, KNOWN, FIRST, JIT)
    ]
    lines.append(f"\nBy the clock on the wall, assertion signed, median ms: {'; '.join(walls)}.")
    return "\n".join(lines)


def rates(reached: dict[tuple[str, str], float]) -> str:
    lines = [
        "| | " + " | ".join(f"{style}: a second | ratio" for style in STYLES) + " |",
        "|---|" + "---:|" * (2 * len(STYLES)),
    ]
    for who in (PYTHON3_SAML, KNOWN, FIRST, JIT):
        cells = [
            f"{reached[who, style]:.0f} | {reached[who, style] / reached[PYTHON3_SAML, style]:.2f}"
            for style in STYLES
        ]
        lines.append(f"| {who} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(number: int, *, heavy: bool) -> None:
    house = move_in()
    for who in range(BOUND):
        message = mint(house, "assertion signed", KNOWN, who)
        message.pending.save(force_insert=True)
        log_in(house, message)
    with database.cursor() as cursor:
        # Those of an earlier run.
        cursor.execute("TRUNCATE saml_sp_pendingrequest, saml_sp_consumedassertion")
        cursor.execute("VACUUM ANALYZE")
    quietly()
    counted = statements(house)
    empty = rounds(house, number)
    print(f"{number} rounds, one process, one thread. `ratio`: to python3-saml on the same message.\n")
    print(table(empty, counted))
    print(f"\nBy the clock, one process of {THREADS} threads, which all log somebody in at the same time:\n")
    print(rates(a_second(house, number)))
    if (STOCK, "both signed") not in empty:
        print("\nStock pysaml2 is left out: there is no program xmlsec1 here.")
    else:
        times = [median(empty, STOCK, style) / median(empty, PARSING, style) for style in STYLES]
        print(
            f"\nParsing alone is {', '.join(f'{t:.0f}' for t in times)} times stock pysaml2's (must: {TIMES_STOCK})."
        )
    if not heavy:
        return
    fill(house)
    full = rounds(house, number, rivals_too=False)
    print(f"\nWith {PENDING:,} pending requests and {CONSUMED:,} consumed assertions:\n")
    print(table(full, counted))
    print()
    for who in (KNOWN, FIRST, JIT):
        slower = [
            (median(full, who, style) / median(full, PYTHON3_SAML, style))
            / (median(empty, who, style) / median(empty, PYTHON3_SAML, style))
            for style in STYLES
        ]
        print(f"- {who}: {', '.join(f'{s:.2f}' for s in slower)} times as long as with empty tables.")
    gone = trim_everything(house)
    print(
        f"\nTrimming {gone.rows:,} rows took {gone.seconds:.1f} s; {gone.logins} logins went on beside it, the longest "
        f"took {gone.longest_login * 1000:.0f} ms. {ConsumedAssertion.objects.count():,} consumed assertions stay."
    )
