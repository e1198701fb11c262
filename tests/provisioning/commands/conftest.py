"""How the commands' tests call them: as a script does, and read what it reads."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import CommandError

Run = Callable[..., Any]


def _with_reason(name: str, *arguments: str) -> tuple[str, ...]:
    """Where a test is about something else, whoever runs the command says why."""
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    takes = "--reason" in parser.format_help()
    return (name, *arguments, *(("--reason", "As agreed") if takes and "--reason" not in arguments else ()))


@pytest.fixture
def run(db: None) -> Run:
    """The JSON object that a command prints."""

    def call(*arguments: str) -> Any:
        said = StringIO()
        call_command(*_with_reason(*arguments), "--json", stdout=said, stderr=StringIO())
        return json.loads(said.getvalue())

    return call


@pytest.fixture
def fail(db: None) -> Run:
    """The error that a command ends with, which is the JSON object's too."""

    def call(*arguments: str) -> str:
        said = StringIO()
        with pytest.raises(CommandError) as raised:
            call_command(*_with_reason(*arguments), "--json", stdout=said, stderr=StringIO())
        if said.getvalue():  # a parser's error is printed by `run_from_argv`
            assert json.loads(said.getvalue()) == {"error": str(raised.value)}
        return str(raised.value)

    return call


@pytest.fixture
def read(db: None) -> Callable[..., str]:
    """What a person reads."""

    def call(*arguments: str) -> str:
        said = StringIO()
        call_command(*_with_reason(*arguments), stdout=said, stderr=StringIO())
        return said.getvalue()

    return call
