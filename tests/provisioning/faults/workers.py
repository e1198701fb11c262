"""Processes that a test starts and kills. Each is a fork of one that has set the hub up, so it lives at once.

`python -m tests.provisioning.faults.workers kill SEED CONNECTION` and the like; answers one JSON object. Knows which
process does what, and nothing of what should come of it.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

import django

django.setup()

import psycopg  # noqa: E402 - as in production, the hub is set up first
from django.db import DatabaseError, connections  # noqa: E402

from identity_hub.core import pipeline  # noqa: E402
from provisioning import reconciliation, tasks  # noqa: E402
from provisioning.decision.types import Intent  # noqa: E402
from provisioning.models import Account, Connection, ReconciliationRun  # noqa: E402
from provisioning.reconciliation import runs  # noqa: E402
from provisioning.services import submit  # noqa: E402

from ..cast import House, asserted, pushed, user  # noqa: E402

runs.BATCH = 5


def fork(work: Callable[[], None]) -> int:
    """The process that does `work`, on a database connection of its own; it ends with 1 where that fails."""
    connections.close_all()
    if child := os.fork():
        return child
    code = 1
    try:
        work()
        code = 0
    except Exception as error:  # noqa: BLE001 - told on stderr; a child must not go on as its parent
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """The child's exit code, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def nightly(connection: Connection) -> None:
    tasks.reconcile(str(connection.tenant_id), str(connection.pk))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Statements:
    """Counts what this process asks of the database, commits too; at the n-th of them something happens to it."""

    def __init__(self, last: int, happens: Callable[[], None]) -> None:
        self.number, self.last, self.happens = 0, last, happens
        for owner, name in (
            (psycopg.Cursor, "execute"),
            (psycopg.Cursor, "executemany"),
            (psycopg.Cursor, "copy"),
            (psycopg.Connection, "commit"),
            (pipeline._Line, "add"),
            # What was sent is done, and nobody hears that it was.
            (pipeline._Line, "_hear"),
        ):
            setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.number += 1
            if self.number == self.last:
                self.happens()
            return ask(*arguments, **options)

        return counted


def kill(seed: int, connection: Connection) -> dict[str, Any]:
    """One run in a worker that is killed again and again, each time at another statement, and at last is not.

    It dies once in each part of the run, at the part's end where that has fewer statements than the dice said.
    """
    dice = random.Random(seed)
    whole = _statements_of_a_simulation(connection)
    # Before its plan is complete it starts over; after that it goes on.
    deaths: list[Callable[[], None]] = [
        partial(_die_within, "_simulate", dice.randint(1, whole)) for _ in range(3)
    ]
    for check, batches in (
        ("roster-gone", 1),
        ("roster-new", 4),
        ("unconfirmed", 11),
        ("held-with-sessions", 1),
        ("ghost-memberships", 1),
    ):
        number, point = dice.randint(1, batches), dice.randint(1, 40)
        deaths.append(partial(_die_within, "_carry_out", point, check=check, number=number))
    deaths.append(partial(_die_within, "_verify", dice.randint(1, whole)))
    deaths.append(partial(_die_within, "_execute", dice.randint(1, 8), begins="tally"))
    codes, left = [], []
    for prepare in deaths:

        def work(prepare: Callable[[], None] = prepare) -> None:
            prepare()
            nightly(connection)

        codes.append(ended(fork(work)))
        _wait_for_its_end(connection)
        left.append(_where(connection))
    codes.append(ended(fork(lambda: nightly(connection))))
    return {"seed": seed, "codes": codes, "left": left}


def _statements_of_a_simulation(connection: Connection) -> int:
    """Measured in one that nobody kills; to look at everything again at the end takes about as many."""
    read, write = os.pipe()

    def work() -> None:
        asked = Statements(0, die)
        reconciliation.simulate(connection, tasks.SCHEDULE)
        os.write(write, str(asked.number).encode())

    assert ended(fork(work)) == 0
    return int(os.read(read, 20))


def _die_within(part: str, point: int, *, begins: str = "", check: str = "", number: int = 1) -> None:
    """At a statement of a step of the run, counted from where `begins` does; at its end at the latest.

    Of the batches it is the n-th one with items of a check.
    """
    step, first = getattr(runs, part), getattr(runs, begins or part)
    met = 0

    def is_it(arguments: tuple[Any, ...]) -> bool:
        nonlocal met
        met += not check or any(item.check_name == check for item in arguments[2])
        return met == number

    def begin(*arguments: Any, **options: Any) -> Any:
        Statements(point, die)
        return first(*arguments, **options)

    def go(*arguments: Any, **options: Any) -> Any:
        if not is_it(arguments):
            return step(*arguments, **options)
        if not begins:
            Statements(point, die)
        step(*arguments, **options)
        return die()

    if begins:
        setattr(runs, begins, begin)
    setattr(runs, part, go)


def _when_it_executes(happens: Callable[[], object]) -> None:
    execute = runs._execute

    def begin(*arguments: Any) -> None:
        happens()
        execute(*arguments)

    runs._execute = begin


def _where(connection: Connection) -> str:
    """What the dead worker left of its run: its state, and how many of its items were done."""
    run = ReconciliationRun.objects.filter(tenant_id=connection.tenant_id).order_by("-started_at").first()
    if run is None:
        return "nothing"
    done = run.items.filter(tenant_id=run.tenant_id, status="applied").count()
    return f"{run.status} {done}"


def _wait_for_its_end(connection: Connection) -> None:
    """The server notices a dead worker when it has answered it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with runs._alone(connection) as mine:
            if mine:
                return
        time.sleep(0.01)


def twice(seed: int, connection: Connection) -> dict[str, Any]:
    """Two workers with the same simulated run, two with what beat sent twice, all at once."""
    run = reconciliation.simulate(connection, tasks.SCHEDULE)
    given = lambda: tasks.execute_run(str(run.tenant_id), str(run.pk))  # noqa: E731
    sent = lambda: nightly(connection)  # noqa: E731
    children = [fork(work) for work in (given, given, sent, sent)]
    return {"codes": [ended(child) for child in children]}


def hammer(seed: int, connection: Connection) -> dict[str, Any]:
    """A run, while their IdP pushes, disables and deletes the same people, and they sign in."""
    names = list(
        Account.objects.filter(tenant_id=connection.tenant_id, connection=connection, confirmed_at=None)
        .order_by("id")
        .values_list("user_name", flat=True)
    )
    where = House(connection.tenant, connection, "")

    def push() -> None:
        dice = random.Random(seed)
        for name in dice.sample(names, len(names)):
            done = submit(pushed(where, Intent.CREATE, user(f"{name}@{where.domain}", name)))
            if done.account_id and dice.random() < 0.5:
                intent = dice.choice([Intent.DISABLE, Intent.DELETE, Intent.UPDATE])
                document = user(f"{name}@{where.domain}", name) if intent is Intent.UPDATE else None
                submit(pushed(where, intent, document, account_id=done.account_id))

    def sign_in(salt: int) -> Callable[[], None]:
        def come() -> None:
            dice = random.Random(seed + salt)
            for name in dice.choices(names, k=2 * len(names)):
                submit(asserted(where, name))

        return come

    children = [fork(work) for work in (push, sign_in(1), sign_in(2), lambda: nightly(connection))]
    codes = [ended(child) for child in children]
    return {"codes": [*codes, ended(fork(lambda: nightly(connection)))]}


def restart(seed: int, connection: Connection) -> dict[str, Any]:
    """A run whose database is restarted, in the middle of a batch, by whoever reads `now`; then the next worker."""

    def wait() -> None:
        own = connections["default"].connection.info
        other = psycopg.connect(own.dsn, password=own.password, autocommit=True)
        print("now", flush=True)  # noqa: T201
        with suppress(psycopg.OperationalError):
            while True:
                other.execute("SELECT 1")

    def work() -> None:
        _when_it_executes(lambda: Statements(seed, wait))
        nightly(connection)

    codes = [ended(fork(work))]
    deadline = time.monotonic() + 60
    while True:
        try:
            Connection.objects.filter(tenant_id=connection.tenant_id).count()
        except DatabaseError:
            if time.monotonic() > deadline:
                raise
            connections.close_all()
            time.sleep(0.05)
        else:
            break
    codes.append(ended(fork(lambda: nightly(connection))))
    return {"codes": codes}


WORK = {"kill": kill, "twice": twice, "hammer": hammer, "restart": restart}

if __name__ == "__main__":
    name, seed, connection_id = sys.argv[1:]
    row = Connection.objects.select_related("tenant").get(pk=UUID(connection_id))
    print(json.dumps(WORK[name](int(seed), row)))  # noqa: T201
