"""An IdP that is asked for its people: plays the conversations of `listings.json` on a real HTTP server.

A step is a request that has to come next, and what is answered. Of the request's query, form and headers only what the
step names is compared, by the matchers of `test_conversations`; `{{base}}` is the server's own address.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .test_conversations import mismatch

LISTINGS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "listings.json").read_text())


class Played:
    """What was asked so far. `base` is the server's address, without a slash at its end."""

    def __init__(self, steps: Sequence[dict[str, Any]]) -> None:
        self.base = ""
        self.steps = list(steps)
        self.asked: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.hung = threading.Event()
        """Set while a step that `hangs` is not answered: until `let_go`, or until whoever asked has gone."""
        self.let_go = threading.Event()

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        place = len(self.asked)
        self.asked.append(asked)
        if place >= len(self.steps):
            self.wrong.append(f"{asked['method']} {asked['path']} was not to be asked any more")
            return {"status": 500, "body": {}}
        step = self.steps[place]
        wanted = {name: step[name] for name in ("method", "path", "query", "form", "headers") if name in step}
        if problem := mismatch(self.filled(wanted), asked):
            self.wrong.append(f"step {place + 1}: {problem}")
        return step

    def filled(self, value: Any) -> Any:
        return json.loads(json.dumps(value).replace("{{base}}", self.base))

    def finish(self) -> None:
        assert self.wrong == []
        assert len(self.asked) == len(self.steps), f"{len(self.asked)} of {len(self.steps)} steps were asked"


@contextmanager
def playing(steps: Sequence[dict[str, Any]]) -> Iterator[Played]:
    played = Played(steps)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            step = played.answer(
                {
                    "method": self.command,
                    "path": parts.path,
                    "query": dict(parse_qsl(parts.query, keep_blank_values=True)),
                    "form": dict(parse_qsl(content)),
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                }
            )
            if step.get("hangs"):
                played.hung.set()
                played.let_go.wait(60)
            with suppress(OSError):  # whoever asked has gone
                self.say(step)

        do_POST = do_GET

        def say(self, step: dict[str, Any]) -> None:
            raw = step.get("raw")
            body = raw.encode() if raw is not None else json.dumps(played.filled(step.get("body"))).encode()
            self.send_response(step.get("status", 200))
            for name, value in {"Content-Type": "application/json", **step.get("answers", {})}.items():
                self.send_header(name, played.filled(value))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    played.base = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield played
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
