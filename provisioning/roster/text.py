"""From a file's bytes to its lines of text. Knows encodings, and no format."""

import codecs
import hashlib
import io
import re
from dataclasses import dataclass

from . import Unreadable

CHUNK = 1024 * 1024
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "windows-1252")

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_KINDS = (
    (b"PK\x03\x04", "This is a spreadsheet or an archive, not text; please save it as CSV in UTF-8."),
    (b"\xd0\xcf\x11\xe0", "This is a spreadsheet of an old kind, not text; please save it as CSV in UTF-8."),
    (b"\x1f\x8b", "The file is compressed; please unpack it first."),
    (b"%PDF", "This is a PDF; please give a CSV or JSON Lines file."),
)
_REPLACED = re.compile("\ufffd")
_BEYOND_ASCII = re.compile("[^\x00-\x7f\ufffd]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one look through a file tells. `digest` is its SHA-256 in hexadecimals."""

    digest: str
    size: int
    encoding: str
    """As detected."""
    tail: bytes
    """The last two bytes."""

    def ended(self, encoding: str) -> bool:
        """Whether the last line has its end: a character, and not a byte that a letter of UTF-16 may have as well."""
        width = 2 if encoding.startswith("utf-16") else 1
        return self.size % width == 0 and self.tail[-width:].decode(encoding, "replace") in ("\n", "\r")


class Surveyor:
    """Gets a file's bytes piece by piece, so that whoever carries them need not read them twice."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._size = 0
        self._head = self._tail = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._damaged = self._whole = 0

    def take(self, piece: bytes) -> None:
        """Pieces of CHUNK bytes, but the last. Raises Unreadable."""
        self._digest.update(piece)
        self._size += len(piece)
        if len(self._head) < 4096:
            self._head += piece[:4096]
        self._tail = piece[-2:]
        # Attack: a line without an end, which whoever reads lines would have to keep in memory.
        if len(piece) >= CHUNK and b"\n" not in piece and b"\r" not in piece:
            raise Unreadable("A line of the file is longer than a million characters.")
        text = self._decoder.decode(piece)
        if not text.isascii():
            self._damaged += len(_REPLACED.findall(text))
            self._whole += len(_BEYOND_ASCII.findall(text))

    def survey(self) -> Survey:
        """Raises Unreadable for what is no text."""
        for mark, sentence in _KINDS:
            if self._head.startswith(mark):
                raise Unreadable(sentence)
        return Survey(
            digest=self._digest.hexdigest(),
            size=self._size,
            encoding=self._encoding(),
            tail=self._tail,
        )

    def _encoding(self) -> str:
        for mark, encoding in _MARKS:
            if self._head.startswith(mark):
                return encoding
        # Latin letters in UTF-16 have a NUL beside each.
        even, odd = self._head[::2].count(0), self._head[1::2].count(0)
        if max(even, odd) > len(self._head) // 5:
            return "utf-16-be" if even > odd else "utf-16-le"
        # Where most of what is beyond ASCII is good UTF-8, a few bytes are damaged: to read the whole as something else
        # would damage every name instead.
        return "windows-1252" if self._damaged > self._whole else "utf-8"


def survey(file: io.BufferedReader) -> Survey:
    surveyor = Surveyor()
    while piece := file.read(CHUNK):
        surveyor.take(piece)
    return surveyor.survey()


def lines(file: io.BufferedReader, encoding: str) -> io.TextIOWrapper:
    """The text of a file that a Surveyor has seen, without its byte order mark. What is not of the encoding becomes
    U+FFFD. Closing it closes the file."""
    head = file.peek(4)
    for mark, marked in _MARKS:
        if marked == encoding and head.startswith(mark):
            file.read(len(mark))
    return io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
