"""What real identity providers send, replayed step by step. Knows the wire, and nothing of what is behind it.

`dialects.json` holds the conversations, each with its source. A step names a request and what its answer must
be; `{{...}}` is filled from earlier answers, and `@...` and `~...` are matchers.
"""

import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from pytest_django.live_server_helper import LiveServer

from tests.scim.clients import an_idp

SCENARIOS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "dialects.json").read_text())

_PLACE = re.compile(r"\{\{\s*([^}]+?)\s*\}\}")


class Conversation:
    """One scenario's requests, and what was captured from their answers."""

    def __init__(self, root: str, token: str) -> None:
        self.root = root
        self.headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/scim+json, application/json",
        }
        self.captured: dict[str, Any] = {"uniq": uuid.uuid4().hex[:10], "uuid": {}}

    def filled(self, value: Any) -> Any:
        if isinstance(value, str):
            if whole := _PLACE.fullmatch(value):
                return self._captured(whole[1])
            return _PLACE.sub(lambda place: str(self._captured(place[1])), value)
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, dict):
            return {self.filled(key): self.filled(item) for key, item in value.items()}
        return value

    def _captured(self, place: str) -> Any:
        head, *rest = place.split(".")
        if head == "uuid":
            return self.captured["uuid"].setdefault(rest[0], str(uuid.uuid4()))
        found = self.captured[head]
        for part in rest:
            found = found[int(part)] if isinstance(found, list) else found[part]
        return found

    def send(self, step: dict[str, Any]) -> requests.Response:
        path, _, query = self.filled(step["path"]).partition("?")
        address = self.root + path + ("?" + quote(query, safe="=&%:,$@/!*()-._~") if query else "")
        headers = dict(self.headers)
        content = None
        if "raw" in step or step.get("body") is not None:
            content = self.filled(step["raw"]) if "raw" in step else json.dumps(self.filled(step["body"]))
            headers["Content-Type"] = "application/scim+json"
        headers |= self.filled(step.get("headers") or {})
        auth = step.get("auth", True)
        if auth is False:
            del headers["Authorization"]
        elif auth is not True:
            headers["Authorization"] = self.filled(auth)
        return requests.request(step["method"], address, data=content, headers=headers, timeout=20)

    def play(self, step: dict[str, Any]) -> None:
        if step["method"] == "PAGINATE":
            self._walk(step)
        elif step["method"] == "PARALLEL":
            self._at_once(step)
        else:
            self._check(step, self.send(step))

    def _check(self, step: dict[str, Any], answer: requests.Response) -> None:
        where = f"{step['method']} {step['path']}"
        body = answer.json() if answer.content else None
        assert _status_fits(step.get("expect_status", "2xx"), answer.status_code), (where, answer.text)
        for name, wanted in (step.get("expect_header") or {}).items():
            assert mismatch(self.filled(wanted), answer.headers.get(name)) is None, where
        wanted = step.get("expect_json_subset")
        if wanted is not None and not (body is None and step.get("body_optional")):
            assert mismatch(self.filled(wanted), body) is None, (where, mismatch(self.filled(wanted), body))
        for path in step.get("expect_absent", ()):
            assert _at(body, path) in (None, [], {}), (where, path)
        if step.get("capture"):
            self.captured[step["capture"]] = body

    def _at_once(self, step: dict[str, Any]) -> None:
        with ThreadPoolExecutor(len(step["requests"])) as threads:
            statuses = [answer.status_code for answer in threads.map(self.send, step["requests"])]
        left = list(statuses)
        for wanted in step["expect_statuses"]:
            fitting = [status for status in left if _status_fits(wanted, status)]
            assert fitting, (statuses, step["expect_statuses"])
            left.remove(fitting[0])

    def _walk(self, step: dict[str, Any]) -> None:
        count, start, seen = step["count"], 1, []
        while True:
            page_step = {"method": "GET", "path": f"{step['path']}?startIndex={start}&count={count}"}
            answer = self.send(page_step)
            page = answer.json()
            assert answer.status_code == 200
            assert page["itemsPerPage"] == len(page["Resources"]) <= count
            seen += [resource["id"] for resource in page["Resources"]]
            start += count
            if not page["Resources"] or start > page["totalResults"]:
                break
        assert len(seen) == len(set(seen))
        assert set(self.filled(step.get("expect_contains", []))) <= set(seen)


def _status_fits(wanted: Any, status: int) -> bool:
    if isinstance(wanted, list):
        return any(_status_fits(one, status) for one in wanted)
    if isinstance(wanted, str) and wanted.endswith("xx"):
        return status // 100 == int(wanted[0])
    return int(wanted) == status


def _at(body: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(body, list) and part.isdigit() and int(part) < len(body):
            body = body[int(part)]
        elif isinstance(body, dict):
            body = body.get(part)
        else:
            return None
    return body


def mismatch(wanted: Any, actual: Any, where: str = "$") -> str | None:
    """None when `actual` satisfies `wanted`, else a sentence: objects and lists match as subsets."""
    if isinstance(wanted, str) and wanted[:1] in ("@", "~"):
        return None if _matcher(wanted, actual) else f"{where}: wanted {wanted}, got {actual!r}"
    if isinstance(wanted, dict):
        if not isinstance(actual, dict):
            return f"{where}: wanted an object, got {actual!r}"
        for key, inner in wanted.items():
            if key not in actual and inner in ("@absent-or-null", "@len:0"):
                continue
            if key not in actual:
                return f"{where}.{key}: missing"
            if problem := mismatch(inner, actual[key], f"{where}.{key}"):
                return problem
        return None
    if isinstance(wanted, list):
        if not isinstance(actual, list):
            return f"{where}: wanted a list, got {actual!r}"
        lost = [one for one in wanted if all(mismatch(one, item) for item in actual)]
        return f"{where}: nothing matches {lost[0]!r} in {actual!r}" if lost else None
    same = type(wanted) is type(actual) and wanted == actual
    return None if same else f"{where}: wanted {wanted!r}, got {actual!r}"


def _matcher(wanted: str, actual: Any) -> bool:
    match wanted.partition(":"):
        case ("@any", _, _):
            return True
        case ("@int", _, _):
            return isinstance(actual, int) and not isinstance(actual, bool)
        case ("@bool", _, _):
            return isinstance(actual, bool)
        case ("@str", _, _):
            return isinstance(actual, str) and bool(actual)
        case ("@absent-or-null", _, _):
            return actual in (None, [], {}, "")
        case ("@len", _, size):
            return len(actual or ()) == int(size)
        case ("@ci", _, text):
            return isinstance(actual, str) and actual.lower() == text.lower()
        case ("@contains", _, text):
            return isinstance(actual, str) and text in actual
    return isinstance(actual, str) and re.search(wanted[1:], actual, re.IGNORECASE) is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "scenario",
    [pytest.param(scenario, id=f"{scenario['id']}: {scenario['name']}") for scenario in SCENARIOS],
)
def test_conversation(live_server: LiveServer, scenario: dict[str, Any]) -> None:
    conversation = Conversation(f"{live_server.url}/scim/v2", an_idp("acme").token)
    for step in scenario["steps"]:
        conversation.play(step)
