"""CSV and JSON Lines files as sources of a roster, and what can be told of a file before it is read. Knows no table."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BufferedReader
from itertools import islice
from typing import Any

import orjson

from provisioning.decision.reasons import RowFault

from . import Fault, Page, Unreadable, Values
from .mapping import (
    INVERTED,
    STATE_WORDS,
    ColumnMap,
    guess,
    names_a_state,
    paths_of,
    sort,
    text_of,
    value_at,
)
from .text import Survey, lines

AT_ONCE = 5000
"""Lines of a page."""
SAMPLE = 100
"""Records that are looked at before anything is read."""
DELIMITERS = (",", ";", "\t", "|")
FORMATS = ("csv", "jsonl")

# A single value with a quote left open would swallow the rest of the file.
csv.field_size_limit(131_072)

Open = Callable[[], BufferedReader]
Cells = list[str]

# A number that would not be kept as it is written: too long for an integer, or with a point.
_WRITTEN = re.compile(r"[:,\[]\s*-?(?:[0-9]{16}|[0-9]+[.eE])")
_KEY = re.compile(r'"([^"\\]{1,256})"\s*:')
_ENDS = re.compile(r"\r\n|\r|\n")
_SEPARATOR = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)
_COUNT = re.compile(r"#\s*(?:count|rows|total)\s*[:=]?\s*([0-9]{0,9})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file is written."""

    format: str
    encoding: str
    delimiter: str = ""
    quote: str = ""
    ended: bool = True
    """Whether its last line has its end: one that cannot be used and has none is cut."""

    @property
    def told(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The beginning of a file. `cells` are texts in the order of `columns`, by line."""

    layout: Layout
    columns: list[str]
    cells: list[tuple[int, list[str]]]
    mapping: dict[str, str]
    """As guessed."""


def look(
    open_: Open,
    seen: Survey,
    *,
    name: str,
    encoding: str = "",
    format: str = "",
    delimiter: str = "",
    quote: str = "",
) -> Sample:
    """What a file seems to be; what is given is not guessed. Raises Unreadable."""
    encoding = encoding or seen.encoding
    ended = seen.ended(encoding)
    with lines(open_(), encoding) as coming:
        head = list(islice(coming, SAMPLE))
    first = next((line.strip() for line in head if line.strip()), "")
    if not first:
        raise Unreadable("The file is empty.")
    format = format or _format(name, first)
    if format == "jsonl":
        return _look_at_documents(open_, head, Layout(format=format, encoding=encoding, ended=ended))
    quote = quote or ("'" if first.startswith("'") else '"')
    delimiter = delimiter or _delimiter(head, quote)
    return _look_at_table(
        open_,
        Layout(format=format, encoding=encoding, delimiter=delimiter, quote=quote, ended=ended),
    )


def source(open_: Open, layout: Layout, mapping: ColumnMap) -> "CsvFile | JsonLines":
    return (CsvFile if layout.format == "csv" else JsonLines)(open_, layout, mapping)


def is_named_json(name: str) -> bool:
    return name.lower().endswith((".jsonl", ".ndjson", ".json"))


def _format(name: str, first: str) -> str:
    if first.startswith("["):
        raise Unreadable("This is one JSON array; please write one JSON object a line.")
    return "jsonl" if is_named_json(name) or first.startswith("{") else "csv"


def _delimiter(head: Sequence[str], quote: str) -> str:
    """The one by which most lines have as many columns as the first."""
    if said := _SEPARATOR.fullmatch(head[0]):
        return said[1]

    def fit(delimiter: str) -> tuple[int, int]:
        reader = csv.reader(head[:-1] or head, delimiter=delimiter, quotechar=quote)
        try:
            widths = [len(record) for record in reader if record]
        except csv.Error:
            return 0, 0
        return (widths.count(widths[0]) if widths and widths[0] > 1 else 0), widths[0] if widths else 0

    return max(DELIMITERS, key=fit)


def _look_at_table(open_: Open, layout: Layout) -> Sample:
    with lines(open_(), layout.encoding) as text:
        table = _Table(text, layout)
        records = [
            (line, cells) for line, cells in islice(table.records(), SAMPLE) if isinstance(cells, list)
        ]
    columns = table.header
    good = [(line, cells) for line, cells in records if len(cells) == len(columns)]
    return Sample(
        layout=layout, columns=columns, cells=good, mapping=guess(columns, [cells for _, cells in good])
    )


def _look_at_documents(open_: Open, head: Sequence[str], layout: Layout) -> Sample:
    documents: list[tuple[int, dict[str, Any]]] = []
    for line, text in enumerate(head, 1):
        document = _document(text)
        if isinstance(document, dict) and _promised(document) is None:
            documents.append((line, document))
    if not documents:
        raise Unreadable("No line of the beginning is a JSON object.")
    sample = _sample_of_documents(documents, layout)
    if sample.mapping.keys() & {"active", INVERTED}:
        return sample
    with lines(open_(), layout.encoding) as coming:
        later = list(_first_to_name_a_state(islice(coming, SAMPLE, None), set(sample.columns)))
    return _sample_of_documents([*documents, *later], layout) if later else sample


def _sample_of_documents(documents: list[tuple[int, dict[str, Any]]], layout: Layout) -> Sample:
    columns = list(dict.fromkeys(path for _, document in documents for path in paths_of(document)))
    cells = [
        (line, [_shown(value_at(document, column)) for column in columns]) for line, document in documents
    ]
    return Sample(
        layout=layout, columns=columns, cells=cells, mapping=guess(columns, [row for _, row in cells])
    )


def _first_to_name_a_state(text: Iterator[str], known: set[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Beyond the sample: of each key that says who is active, and that is not known, the first document that has it.

    Some exports name it only of whoever is not. Unmapped it would leave them active.
    """
    before = SAMPLE
    while block := list(islice(text, AT_ONCE)):
        # Most blocks name none, which is soon seen.
        if STATE_WORDS.search("".join(block)):
            for line, said in enumerate(block, before + 1):
                if any(names_a_state(key) and key not in known for key in _KEY.findall(said)):
                    document = _document(said) or {}
                    fresh = {key for key in document if names_a_state(key)} - known
                    if fresh:
                        known |= fresh
                        yield line, document
        before += len(block)


def _shown(value: Any) -> str:
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else text_of(value)


class _Table:
    """The records of a CSV file: (line on which each begins; its cells, what is wrong with it, or how many rows it
    promises)."""

    def __init__(self, text: Iterable[str], layout: Layout) -> None:
        self._delimiter = layout.delimiter
        self._reader = csv.reader(text, delimiter=layout.delimiter, quotechar=layout.quote, strict=True)
        self.header = self._header()

    def _header(self) -> list[str]:
        try:
            for cells in self._reader:
                # Excel's own first line, which names the separator.
                if cells and not (cells[0].lower().startswith("sep=") and not any(cells[1:])):
                    return [cell.strip() for cell in cells]
        except csv.Error:
            raise Unreadable("The first line cannot be read: look at its quotes and its separator.") from None
        raise Unreadable("The file is empty.")

    def records(self) -> Iterator[tuple[int, Cells | Fault | int]]:
        reader, width = self._reader, len(self.header)
        while True:
            line = reader.line_num + 1
            try:
                for cells in reader:
                    if reader.line_num > line and (swallowed := self._swallowed(line, cells)):
                        for one in swallowed:
                            yield one, Fault(line=one, code=RowFault.QUOTING)
                    elif len(cells) == width and cells[0][:1] != "#":
                        yield line, cells
                    elif cells:
                        yield line, self._unusual(line, cells)
                    line = reader.line_num + 1
            except csv.Error:
                yield line, Fault(line=line, code=RowFault.QUOTING)
            else:
                return

    def _swallowed(self, line: int, cells: Cells) -> list[int]:
        """The lines of a record, which begins on `line`, that look like records of their own.

        Between a quote that somebody left open and the next one that closes nothing, people are part of a title. An
        address of several lines is told from them by its separators: not each line has as many as a row.
        """
        whole = len(self.header) - 1
        for place, cell in enumerate(cells):
            pieces = _ENDS.split(cell)
            last = len(pieces) - 1
            if last:
                counts = [piece.count(self._delimiter) for piece in pieces]
                counts[0] += place
                counts[last] += len(cells) - 1 - place
                alike = [number for number, count in enumerate(counts) if count == whole]
                if {0, last} <= set(alike) or any(0 < number < last for number in alike):
                    return [line + number for number in alike]
            line += last
        return []

    def _unusual(self, line: int, cells: Cells) -> Cells | Fault | int:
        width = len(self.header)
        if (count := _COUNT.fullmatch(cells[0])) and not any(cells[2:]):
            number = count[1] or "".join(cells[1:2]).strip()
            if number.isdecimal() and len(number) < 10:
                return int(number)
        # Spreadsheets fill lines up with empty cells.
        if len(cells) >= width and not any(cells[width:]):
            return cells[:width]
        return Fault(line=line, code=RowFault.COLUMNS)


class CsvFile:
    kind = "csv"

    def __init__(self, open_: Open, layout: Layout, mapping: ColumnMap) -> None:
        self._open, self._layout, self._mapping = open_, layout, mapping

    @property
    def fields(self) -> Sequence[str]:
        return self._mapping.fields

    def pages(self, cursor: Any) -> Iterator[Page]:
        with lines(self._open(), self._layout.encoding) as text:
            table = _Table(text, self._layout)
            read = self._mapping.reader_of(table.header)
            yield from _pages(table.records(), read, cursor, ended=self._layout.ended)


class JsonLines:
    kind = "jsonl"

    def __init__(self, open_: Open, layout: Layout, mapping: ColumnMap) -> None:
        self._open, self._layout, self._mapping = open_, layout, mapping

    @property
    def fields(self) -> Sequence[str]:
        return self._mapping.fields

    def pages(self, cursor: Any) -> Iterator[Page]:
        with lines(self._open(), self._layout.encoding) as text:
            yield from _pages(_documents(text), self._mapping.read, cursor, ended=self._layout.ended)


def _documents(text: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for line, said in enumerate(text, 1):
        if not said.strip():
            continue
        if (count := _COUNT.fullmatch(said.strip())) and count[1]:
            yield line, int(count[1])
            continue
        document = _document(said)
        if document is None:
            yield line, Fault(line=line, code=RowFault.JSON)
        elif (promised := _promised(document)) is not None:
            yield line, promised
        else:
            yield line, document


def _pages(
    records: Iterator[tuple[int, Any]],
    read: Callable[[int, Any], Values | Fault],
    cursor: Any,
    *,
    ended: bool,
) -> Iterator[Page]:
    """By a cursor the records before it are parsed and passed by: it costs a second in a million, and no byte can be
    counted wrong."""
    seen = cursor["records"] if cursor else 0
    promised: int | None = cursor["promised"] if cursor else None
    for _ in islice(records, seen):
        pass
    more = True
    while more:
        rows: list[tuple[int, Values]] = []
        faults: list[Fault] = []
        before, line = seen, 0
        for line, record in islice(records, AT_ONCE):
            seen += 1
            if promised is not None:
                faults.append(Fault(line=line, code=RowFault.AFTER_COUNT))
            elif isinstance(record, int):
                promised = record
            elif isinstance(record, Fault):
                faults.append(record)
            else:
                sort(line, read(line, record), rows, faults)
        more = seen - before == AT_ONCE
        if not more and not ended and faults and faults[-1].line == line:
            faults[-1] = Fault(line=line, code=RowFault.CUT)
        yield Page(
            rows=rows,
            faults=faults,
            cursor={"records": seen, "promised": promised} if more else None,
            total=promised,
        )


def _document(text: str) -> dict[str, Any] | None:
    """Its numbers are kept as they are written where a number would not keep that: a key may have twenty digits."""
    try:
        document = orjson.loads(text)
        if _WRITTEN.search(text):
            document = json.loads(text, parse_int=str, parse_float=str)
    # Attack: brackets in brackets, as deep as only the first of the two reads them.
    except (orjson.JSONDecodeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _promised(document: dict[str, Any]) -> int | None:
    """The last line of some exports: `{"#count": 120}`."""
    count = document.get("#count") if len(document) == 1 else None
    return count if type(count) is int and 0 <= count < 10**9 else None
