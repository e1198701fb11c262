"""Measures one web process over one kept connection, all kinds of work interleaved, and prints Markdown.

Times are of whole requests as the client sees them; `ratio` is the bare view's median time divided by the
work's, so 1.0 means as fast as the bare view and 0.5 half as fast.
"""

import argparse
import http.client
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from socket import socket
from typing import Any
from urllib.parse import quote
from uuid import UUID

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
django.setup()

from django.core.management import call_command  # noqa: E402 - needs the settings above
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from identity_hub.core.clock import now  # noqa: E402
from identity_hub.core.ids import new_id  # noqa: E402
from provisioning.decision.types import Actor, Channel, GroupObservation, Intent, Observation, Profile  # noqa: E402
from provisioning.models import Connection  # noqa: E402
from provisioning.services import configuration, submit_many, tokens  # noqa: E402
from provisioning.services.groups import submit_group  # noqa: E402
from provisioning.services.tokens import issue_token  # noqa: E402

OPERATOR = Actor(kind="command", id="bench")
LARGE_GROUP = 10_000
BATCH = 1_000
PAGE = 100
SCIM = "urn:ietf:params:scim"


def document(number: int, domain: str) -> dict[str, Any]:
    name = f"person{number}@{domain}"
    return {
        "schemas": [f"{SCIM}:schemas:core:2.0:User"],
        "externalId": f"ext-{number}",
        "userName": name,
        "active": True,
        "name": {"givenName": f"Given{number}", "familyName": "Example"},
        "displayName": f"Given{number} Example",
        "emails": [{"value": name, "type": "work", "primary": True}],
    }


@dataclass
class Population:
    """One tenant of some size, with a large group, and what to ask of it."""

    size: int
    token: str
    domain: str
    accounts: list[str]
    group: str
    serial: int = field(default=0)

    def fresh(self) -> int:
        self.serial += 1
        return self.size + self.serial


def populate(size: int) -> Population:
    slug = f"bench-{size}-{new_id().hex[-8:]}"
    domain = f"{slug}.example"
    tenant = configuration.create_tenant(slug=slug, name=slug, domains=[domain], actor=OPERATOR)
    where = configuration.create_connection(
        tenant=tenant, name="Bench", status="active", requests_per_minute=0, actor=OPERATOR
    )
    _, token = issue_token(connection=where, actor=OPERATOR)
    started = time.perf_counter()
    accounts: list[str] = []
    for start in range(0, size, BATCH):
        batch = [created(where, document(n, domain)) for n in range(start, min(start + BATCH, size))]
        accounts += [str(outcome.account_id) for outcome in submit_many(batch)]
    seconds = time.perf_counter() - started
    print(
        f"{size:,} people in {seconds:.1f} s through submit_many ({size / seconds:,.0f}/s)", file=sys.stderr
    )
    members = [UUID(account) for account in accounts[:LARGE_GROUP]]
    group = submit_group(
        GroupObservation(
            intent=Intent.CREATE,
            tenant_id=tenant.pk,
            connection_id=where.pk,
            at=now(),
            actor=OPERATOR,
            display_name="Everybody",
            add=tuple(members),
        )
    )
    return Population(size, token, domain, accounts, str(group.account_id))


def created(where: Connection, said: dict[str, Any]) -> Observation:
    return Observation(
        channel=Channel.SCIM,
        intent=Intent.CREATE,
        tenant_id=where.tenant_id,
        connection_id=where.pk,
        at=now(),
        actor=OPERATOR,
        user_name=said["userName"],
        external_id=said["externalId"],
        active=True,
        emails=(said["userName"],),
        profile=Profile(
            user_name=said["userName"],
            email=said["userName"],
            given_name=said["name"]["givenName"],
            family_name="Example",
            display_name=said["displayName"],
        ),
        resource=said,
    )


Request = tuple[str, str, Any, int]
"""Method, path, body, the status that it must be answered with."""


def bare(people: Population) -> Request:
    return "GET", f"/bare/users/{random.choice(people.accounts)}", None, 200


def get(people: Population) -> Request:
    return "GET", f"/scim/v2/Users/{random.choice(people.accounts)}", None, 200


def look_up(people: Population) -> Request:
    number = random.randrange(people.size)
    wanted = quote(f'userName eq "person{number}@{people.domain}"')
    return "GET", f"/scim/v2/Users?filter={wanted}", None, 200


def create(people: Population) -> Request:
    return "POST", "/scim/v2/Users", document(people.fresh(), people.domain), 201


def patch_active(people: Population) -> Request:
    operations = [{"op": "replace", "path": "active", "value": bool(people.fresh() % 2)}]
    body = {"schemas": [f"{SCIM}:api:messages:2.0:PatchOp"], "Operations": operations}
    # The same person twice in a row: switched off, then on again, so that every request changes something.
    return "PATCH", f"/scim/v2/Users/{people.accounts[people.serial // 2 % 500]}", body, 200


def add_member(people: Population) -> Request:
    # Beyond the group's first members there is nobody in a small population: he leaves and comes back.
    joining = people.fresh() % 2
    member = people.accounts[-1]
    operation: dict[str, Any] = {"op": "add", "path": "members", "value": [{"value": member}]}
    if not joining:
        operation = {"op": "remove", "path": f'members[value eq "{member}"]'}
    body = {"schemas": [f"{SCIM}:api:messages:2.0:PatchOp"], "Operations": [operation]}
    return "PATCH", f"/scim/v2/Groups/{people.group}", body, 204


def list_page(people: Population) -> Request:
    start = random.randrange(1, max(2, people.size - PAGE))
    return "GET", f"/scim/v2/Users?startIndex={start}&count={PAGE}", None, 200


WORK: dict[str, Callable[[Population], Request]] = {
    "bare view": bare,
    "GET by id": get,
    "look-up by userName": look_up,
    "create": create,
    "PATCH active": patch_active,
    "one member of a large group": add_member,
    f"list page of {PAGE}": list_page,
}


def answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as probe:
            probe.request("GET", "/healthz")
            return probe.getresponse().status == 200
    except OSError:
        return False


@contextmanager
def server() -> Iterator[int]:
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-c", "python:identity_hub.web", "identity_hub.wsgi"]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--log-level", "warning"]
    process = subprocess.Popen(command, env={**os.environ, "PORT": str(port)}, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def headers(people: Population) -> dict[str, str]:
    return {"Authorization": f"Bearer {people.token}", "Content-Type": "application/scim+json"}


def ask(line: http.client.HTTPConnection, people: Population, request: Request) -> float:
    method, path, body, wanted = request
    text = json.dumps(body) if body is not None else None
    started = time.perf_counter()
    line.request(method, path, text, headers(people))
    answer = line.getresponse()
    said = answer.read()
    seconds = time.perf_counter() - started
    if answer.status != wanted:
        raise SystemExit(f"{method} {path}: {answer.status} instead of {wanted}: {said[:300]!r}")
    return seconds


def statements(people: Population, work: Callable[[Population], Request]) -> int:
    """How many SQL statements one such request takes, counted in this process (transaction ends left out)."""
    client = Client(headers={"Authorization": f"Bearer {people.token}"})
    method, path, body, wanted = work(people)
    with CaptureQueriesContext(connection) as captured:
        answer = client.generic(
            method, path, json.dumps(body) if body is not None else "", "application/scim+json"
        )
    if answer.status_code != wanted:
        raise SystemExit(f"{method} {path}: {answer.status_code} instead of {wanted}")
    return len([q for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))])


def measure(port: int, sizes: list[Population], rounds: int) -> dict[tuple[str, int], list[float]]:
    times: dict[tuple[str, int], list[float]] = {}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as line:
        for number in range(-20, rounds):  # the first ones warm up
            for name, work in WORK.items():
                for people in sizes:
                    seconds = ask(line, people, work(people))
                    if number >= 0:
                        times.setdefault((name, people.size), []).append(seconds)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="1000,100000", help="populations (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=300, help="requests of each kind (default: %(default)s)"
    )
    arguments = parser.parse_args()
    call_command("migrate", verbosity=0)
    sizes = [populate(int(size)) for size in arguments.sizes.split(",")]
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    counts = {(name, p.size): statements(p, work) for name, work in WORK.items() for p in sizes}
    with server() as port:
        times = measure(port, sizes, arguments.rounds)

    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {arguments.rounds} requests of each kind.\n"
    )
    print("| work | people | median ms | 95 % ms | requests/s | ratio to bare | statements |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in WORK:
        for people in sizes:
            taken = times[name, people.size]
            median = statistics.median(taken)
            tail = statistics.quantiles(taken, n=20)[-1]
            yardstick = statistics.median(times["bare view", people.size])
            print(
                f"| {name} | {people.size:,} | {median * 1000:.2f} | {tail * 1000:.2f} | {1 / median:,.0f} "
                f"| {yardstick / median:.2f} | {counts[name, people.size]} |"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
