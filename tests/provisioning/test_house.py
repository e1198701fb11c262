"""Where rows are written: in services and what these call. import-linter sees imports; this looks for the calls."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import provisioning

ROOT = Path(provisioning.__file__).parent
READERS = ("admin", "api", "decision", "management", "reconciliation", "selectors", "sources", "tasks")
WRITES = frozenset({"bulk_create", "bulk_update", "get_or_create", "update_or_create", "aget_or_create"})
OF_ROWS = frozenset({"create", "delete", "save", "update"})
"""Of a query, or of a row that a query answered; of anything else these are ordinary words."""
OF_SQL = frozenset({"copy", "execute", "insert", "update"})

ALLOWED = {
    "selectors/tokens.py": {"sql.execute"},  # when a token was used last, beside the look-up that found it
    "tasks/delivery.py": {"message.save"},  # a worker's own mark on the message that it delivers
}


def modules() -> list[Path]:
    return sorted(path for name in READERS for path in (ROOT / name).rglob("*.py"))


def is_of_rows(node: ast.expr) -> bool:
    """A chain that begins at a model's manager, or a row by its usual names."""
    if isinstance(node, ast.Name):
        return node.id in (
            "message",
            "run",
            "item",
            "roster",
            "row",
            "finding",
            "account",
            "identity",
            "connection",
        )
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Attribute) and node.attr == "objects":
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return False


def writes(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called, of = node.func.attr, node.func.value
        of_sql = isinstance(of, ast.Name) and of.id == "sql" and called in OF_SQL
        if of_sql or called in WRITES or (called in OF_ROWS and is_of_rows(of)):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_above_services_writes(path: Path) -> None:
    found = set(writes(path.read_text(encoding="utf-8")))
    assert found == ALLOWED.get(str(path.relative_to(ROOT)), set())


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("Run.objects.filter(pk=1).update(status=x)", True),
        ("Run.objects.create(status=x)", True),
        ("run.save(update_fields=names)", True),
        ("rows.filter(pk=1).bulk_create(them)", True),
        ("sql.insert(Hold, them)", True),
        ("sql.rows(statement)", False),
        ("counts.update(found)", False),
        ("Run.objects.filter(pk=1).exists()", False),
    ],
)
def test_a_write_is_known_by_its_call(line: str, is_one: bool) -> None:
    assert bool(list(writes(line))) is is_one
