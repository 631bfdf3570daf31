"""JSON files as their author wrote them: every value knows its line and column, as YAML's do.

Ansible reads what is JSON as JSON, also where YAML is wanted, and YAML means something else in places: it
knows no ``\\ud83d\\ude00``, as programs write an emoji, and ``1e3`` is text to it.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from pathlib import Path
from typing import Any

from labctl.errors import Place, RequestError
from labctl.placed import Map, Seq, stands_twice

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"-?[0-9A-Za-z][0-9A-Za-z.+-]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<point>\.[0-9]+)?(?P<power>[eE][+-]?[0-9]+)?")
_CONSTANTS = {
    **{"true": True, "false": False, "null": None},
    **{"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")},
}
_HALF = re.compile("[\ud800-\udfff]")


class NoJson(Exception):
    """The text is no JSON; it may be YAML."""


def parse_json(
    text: str, path: Path, error: type[RequestError], *, quote: bool = True, text_keys: str = ""
) -> Any:
    """As :func:`labctl.documents.parse_yaml`. Raises :class:`NoJson` for what YAML may still be."""
    reader = _Reader(text, path, error, quote, text_keys)
    value, end = reader.value(reader.skip(0))
    if reader.skip(end) != len(text):
        raise NoJson
    return value


class _Reader:
    def __init__(self, text: str, path: Path, error: type[RequestError], quote: bool, text_keys: str) -> None:
        self.text = text
        self.path = path
        self.error = error
        self.quote = quote
        self.text_keys = text_keys
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, at: int) -> Place:
        line = bisect_right(self.starts, at)
        start = self.starts[line - 1]
        end = self.starts[line] if line < len(self.starts) else len(self.text)
        excerpt = self.text[start:end].rstrip("\r\n") if self.quote else ""
        return Place(self.path, line, at - start + 1, excerpt)

    def skip(self, at: int) -> int:
        match = _BLANK.match(self.text, at)
        return match.end() if match else at

    def value(self, at: int, *, as_text: bool = False) -> tuple[Any, int]:
        """The value that begins at ``at``, and where it ends."""
        first = self.text[at : at + 1]
        if first == "{":
            return self._map(at)
        if first == "[":
            return self._seq(at)
        if first == '"':
            return self._string(at)
        match = _WORD.match(self.text, at)
        if not match:
            raise NoJson
        return self._word(match[0], as_text=as_text), match.end()

    def _word(self, word: str, *, as_text: bool) -> Any:
        number = _NUMBER.fullmatch(word)
        if not number and word not in _CONSTANTS:
            raise NoJson
        if as_text and word != "null":
            return word
        if not number:
            return _CONSTANTS[word]
        try:
            return float(word) if number["point"] or number["power"] else int(word)
        except ValueError as err:  # more digits than Python takes
            raise NoJson from err

    def _string(self, at: int) -> tuple[str, int]:
        try:
            value, end = _DECODER.raw_decode(self.text, at)
        except ValueError as err:
            raise NoJson from err
        if _HALF.search(value):
            # no file, terminal or database would take it
            raise self.error(
                "this text holds half a character",
                hint=r"\ud83d and its like stand in pairs: \ud83d\ude00",
                place=self.place(at),
            )
        return value, end

    def _map(self, at: int) -> tuple[Map, int]:
        built = Map(self.place(at))
        at = self.skip(at + 1)
        if self.text[at : at + 1] == "}":
            return built, at + 1
        while True:
            if self.text[at : at + 1] != '"':
                raise NoJson
            key_place = self.place(at)
            key, at = self._string(at)
            at = self.skip(at)
            if self.text[at : at + 1] != ":":
                raise NoJson
            at = self.skip(at + 1)
            place = self.place(at)
            value, at = self.value(at, as_text=bool(self.text_keys) and key.startswith(self.text_keys))
            if key in built:
                raise stands_twice(built, key, key_place, self.error)
            built.put(key, value, key_place, place)
            at, more = self._next(at, "}")
            if not more:
                return built, at

    def _seq(self, at: int) -> tuple[Seq, int]:
        built = Seq(self.place(at))
        at = self.skip(at + 1)
        if self.text[at : at + 1] == "]":
            return built, at + 1
        while True:
            place = self.place(at)
            value, at = self.value(at)
            built.put(value, place)
            at, more = self._next(at, "]")
            if not more:
                return built, at

    def _next(self, at: int, end: str) -> tuple[int, bool]:
        """Where it goes on behind an item, and whether with another one."""
        at = self.skip(at)
        mark = self.text[at : at + 1]
        if mark not in (",", end) or not mark:
            raise NoJson
        return (self.skip(at + 1), True) if mark == "," else (at + 1, False)
