"""Measures a web server over one kept connection, all kinds of work interleaved, and prints Markdown.

Times are of whole requests as the client sees them; `ratio` is the median time of the bare view of the same work
(`bare`) divided by the hub's, so 1.0 means as fast as the bare view and 0.5 half as fast.
"""

import argparse
import http.client
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import socket

import django
import orjson

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
django.setup()

from django.core.management import call_command  # noqa: E402 - needs the settings above
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from tests.benchmarks import doubts, logins, pages, reconciling, rosters  # noqa: E402
from tests.benchmarks.population import BATCH, LINES, Population, populate  # noqa: E402
from tests.benchmarks.work import WORK, Ask, Request  # noqa: E402

Times = dict[tuple[str, int], tuple[list[float], list[float]]]
"""(work, people) -> seconds of the hub and of the bare view."""


def answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as probe:
            probe.request("GET", "/healthz")
            return probe.getresponse().status == 200
    except OSError:
        return False


@contextmanager
def server(name: str, processes: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if name == "granian":
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "identity_hub.wsgi:application"]
        command += [
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            str(processes),
            "--blocking-threads",
            "4",
        ]
        command += ["--no-access-log", "--log-level", "warning"]
    else:
        command = [sys.executable, "-m", "gunicorn", "-c", "python:identity_hub.web", "identity_hub.wsgi"]
        command += ["--bind", f"127.0.0.1:{port}", "--workers", str(processes), "--log-level", "warning"]
    process = subprocess.Popen(command, env={**os.environ, "PORT": str(port)}, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit("the server did not start")
            time.sleep(0.1)
        yield port, process
    finally:
        process.terminate()
        process.wait(timeout=30)


def largest_process(process: subprocess.Popen[bytes]) -> int:
    """MiB of the largest process of the server: the worker."""
    sizes = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if str(process.pid) in (fields["PPid"].strip(), fields["Pid"].strip()):
            sizes.append(int(fields.get("VmRSS", "0 kB").split()[0]) // 1024)
    return max(sizes, default=0)


def ask(line: http.client.HTTPConnection, people: Population, request: Request) -> float:
    method, path, body, wanted = request
    text = orjson.dumps(body) if body is not None else None
    started = time.perf_counter()
    line.request(method, path, text, people.headers)
    answer = line.getresponse()
    said = answer.read()
    seconds = time.perf_counter() - started
    if answer.status != wanted:
        raise SystemExit(f"{method} {path}: {answer.status} instead of {wanted}: {said[:300]!r}")
    return seconds


def statements(people: Population, work: Ask) -> int:
    """How many SQL statements one such request takes, counted in this process (transaction ends left out)."""
    client = Client(headers={"Authorization": f"Bearer {people.token}"})
    method, path, body, wanted = work(people)
    with CaptureQueriesContext(connection) as captured:
        sent = orjson.dumps(body).decode() if body is not None else ""
        answer = client.generic(method, path, sent, "application/scim+json")
    if answer.status_code != wanted:
        raise SystemExit(f"{method} {path}: {answer.status_code} instead of {wanted}")
    return len([q for q in captured if not q["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))])


def measure(port: int, sizes: list[Population], rounds: int) -> Times:
    times: Times = {(name, people.size): ([], []) for name in WORK for people in sizes}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as line:
        for number in range(-20, rounds):  # the first ones warm up
            for name, work in WORK.items():
                if work.heavy and number % 10:
                    continue
                for people in sizes:
                    seconds = ask(line, people, work.hub(people)), ask(line, people, work.bare(people))
                    if number >= 0:
                        for taken, one in zip(times[name, people.size], seconds, strict=True):
                            taken.append(one)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="1000,100000", help="populations (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=300, help="requests of each kind (default: %(default)s)"
    )
    parser.add_argument("--server", default="gunicorn", choices=("gunicorn", "granian"))
    parser.add_argument(
        "--processes", type=int, default=2, help="of the web server (default: %(default)s, as docker/ has it)"
    )
    parser.add_argument(
        "--only",
        default="scim,logins,rosters,reconciling,pages,doubts",
        help="the parts that are measured (default: %(default)s)",
    )
    parser.add_argument(
        "--people",
        type=int,
        default=1_000_000,
        help="of the run, of the pages and of a night (default: %(default)s)",
    )
    parser.add_argument(
        "--changes", type=int, default=100_000, help="that its roster makes (default: %(default)s)"
    )
    parser.add_argument(
        "--small",
        action="store_true",
        help="logins only beside nearly empty tables, rosters of 100,000 rows: a quick look",
    )
    arguments = parser.parse_args()
    call_command("migrate", verbosity=0)
    if "scim" in arguments.only:
        measure_scim(arguments)
    if "reconciling" in arguments.only:
        reconciling.report(arguments.people, arguments.changes)
    if "pages" in arguments.only:
        pages.report(arguments.people, arguments.changes)
    if "doubts" in arguments.only:
        doubts.report(arguments.people)
    if "logins" in arguments.only:
        logins.report(arguments.rounds, heavy=not arguments.small)
    if "rosters" in arguments.only:
        rosters.report(heavy=not arguments.small)
    return 0


def measure_scim(arguments: argparse.Namespace) -> None:
    with server(arguments.server, arguments.processes) as (port, process):
        sizes = []
        for size in arguments.sizes.split(","):
            people = populate(port, int(size))
            print(
                f"{people.size:,} people by Bulk in {people.seconds:.1f} s ({people.size / people.seconds:,.0f}/s)",
                file=sys.stderr,
            )
            sizes.append(people)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        counts = {(name, p.size): statements(p, work.hub) for name, work in WORK.items() for p in sizes}
        times = measure(port, sizes, arguments.rounds)
        memory = largest_process(process)

    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {arguments.processes} processes of "
        f"{arguments.server}, {arguments.rounds} requests of each kind; the larger process holds {memory} MiB at the "
        "end.\n"
    )
    print("| work | people | median ms | 95 % ms | bare ms | ratio to bare | must / aim | statements |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, work in WORK.items():
        for people in sizes:
            hub, bare = times[name, people.size]
            median, yardstick = statistics.median(hub), statistics.median(bare)
            tail = statistics.quantiles(hub, n=20)[-1]
            print(
                f"| {name} | {people.size:,} | {median * 1000:.2f} | {tail * 1000:.2f} | {yardstick * 1000:.2f} "
                f"| {yardstick / median:.2f} | {work.target} | {counts[name, people.size]} |"
            )
    for people in sizes:
        print(
            f"\n{people.size:,} people were loaded by Bulk ({BATCH:,} operations a request, {LINES} requests at once) "
            f"in {people.seconds:.1f} s: {people.size / people.seconds:,.0f} people/s."
        )


if __name__ == "__main__":
    raise SystemExit(main())
