"""Every attack over a socket to one gunicorn: nobody comes in or is signed out, none costs a second, and memory stays
small."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from provisioning.models import Identity
from tests.identity_hub.gunicorn import gunicorn
from tests.saml_sp.idp import TestIdp, key_pair
from tests.saml_sp.parties import Browser, make_connection, make_tenant

from .catalogue import LOGOUTS, attacks
from .scene import Scene, assert_nobody_leaves, assert_refused
from .test_bombs import LARGE
from .test_logouts import LONG
from .wire import WireClient

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

MEMORY = 300 * 1024 * 1024
TICKS = os.sysconf("SC_CLK_TCK")


class Worker:
    """The one process that serves the hub, as the kernel sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def seconds(self) -> float:
        """Of the processor, in user and system time. A machine that is busy with something else costs none."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak(self) -> int:
        """Bytes of memory at most, since it began."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def serves(pid: int) -> bool:
    return b"identity_hub.wsgi" in Path(f"/proc/{pid}/cmdline").read_bytes()


@contextmanager
def hub(log: Path) -> Iterator[tuple[int, Worker]]:
    with gunicorn(log, BEHIND_PROXY="1") as port:
        master = next(pid for pid in children(os.getpid()) if serves(pid))
        yield port, Worker(children(master)[0])


def test_all_of_them_together(tmp_path: Path, sp_certificate: bytes) -> None:
    idp = TestIdp(entity_id="https://idp.example/metadata", keys=key_pair("corp"))
    connection = make_connection(make_tenant("corp", "corp.example"), idp)
    # Whoever is to be signed out has signed in, so these have a tenant of their own.
    other_idp = TestIdp(entity_id="https://idp.inside.example/metadata", keys=key_pair("inside"))
    other = make_connection(make_tenant("inside", "inside.example"), other_idp)
    rows = [(attack, connection, idp, assert_refused) for attack in attacks() if attack.name != LARGE]
    rows += [(attack, other, other_idp, assert_nobody_leaves) for attack in LOGOUTS if attack.name != LONG]
    cost: dict[str, float] = {}
    failed: dict[str, str] = {}
    with hub(tmp_path / "log") as (port, worker):
        for number, (attack, where, whose, judge) in enumerate(rows):
            # One address may fail three hundred times a minute.
            new_client = partial(WireClient, port=port, address=f"10.0.{number // 250}.{number % 250}")
            browser = Browser(connection=where, idp=whose, client=new_client())
            scene = Scene(
                browser=browser,
                idp=whose,
                facts=browser.facts(attributes={"email": [f"ada@{where.tenant.slug}.example"]}),
                sp_certificate=sp_certificate,
                new_client=new_client,
            )
            try:
                cost[str(attack)] = judge(scene, attack, clock=worker.seconds)
            except AssertionError as error:
                failed[str(attack)] = str(error)
        for _ in range(5):
            with suppress(OSError):
                new_client().generic("POST", browser.acs, b"SAMLResponse=" + b"A" * 16_000_000)
        assert new_client().get("/login/").status_code == 200
        peak = worker.peak()
    assert not failed
    assert peak < MEMORY, f"{peak >> 20} MiB"
    # Whoever signed in for an attack to have something to steal did so at a tenant of his own.
    assert not Identity.objects.filter(tenant_id=connection.tenant_id).exists()
    assert "Traceback" not in (tmp_path / "log").read_text()
    dearest = max(cost, key=lambda name: cost[name])
    print(f"\n{len(cost)} attacks, {peak >> 20} MiB, at most {cost[dearest]:.2f} s: {dearest}")  # noqa: T201 - measured
