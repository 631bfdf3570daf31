"""Modules that are imported when they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def told(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LATER = "import sys; from labctl.later import later; "


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("import colorsys", "False"),
        ("import importlib.util; importlib.util.find_spec('colorsys').origin[0]", "False"),
        ("import colorsys; colorsys.ONE_THIRD", "True"),
        ("from colorsys import ONE_THIRD", "True"),
        ("import colorsys; f = colorsys.rgb_to_yiq", "False"),
        ("import colorsys; f = colorsys.rgb_to_yiq; f(0, 0, 0)", "True"),
    ],
)
def test_it_is_imported_when_it_is_used(use: str, expected: str) -> None:
    code = f"{LATER}later('colorsys', ['rgb_to_yiq']); {use}; print(hasattr(vars(sys.modules['colorsys'])"
    assert told(f"{code}.get('hls_to_rgb'), '__code__'))") == expected


def test_a_function_does_what_the_modules_does() -> None:
    code = (
        "later('textwrap', ['shorten']); import textwrap; print(textwrap.shorten('so many words', width=9))"
    )
    assert told(LATER + code) == "so [...]"


def test_what_was_imported_before_stays() -> None:
    assert told(f"import json; {LATER}later('json'); print(sys.modules['json'] is json)") == "True"


def test_one_that_is_not_there_fails_when_it_is_used() -> None:
    use = "import no_such_thing\ntry: no_such_thing.x\nexcept ImportError: print('told')"
    assert told(f"{LATER}later('no_such_thing'); {use}") == "told"


def test_the_results_do_not_bring_asyncio_along(tmp_path: Path) -> None:
    use = (
        f"import sys; from labctl.store import open_store; store = open_store('sqlite:///{tmp_path}/r', "
        "create=True); store.runs(); store.close(); print([m for m in ('asyncio.events', 'ssl') if m in "
    )
    assert told(f"{use} sys.modules])") == "[]"


def test_who_uses_asyncio_has_it() -> None:
    use = "import labctl.store, asyncio.events\nasync def f(): return 'here'\nprint(asyncio.run(f()))"
    assert told(use) == "here"
