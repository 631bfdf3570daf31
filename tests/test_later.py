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


#: ``loaded()`` says whether the module itself is there; the library is what imports it meanwhile.
LATER = """
import importlib.util, sys
from labctl.later import Later, later
def loaded():
    return type(sys.modules.get("colorsys")).__name__ == "module"
with later("colorsys", ["rgb_to_yiq"]):
    import colorsys as library
"""


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("pass", "False"),
        ("f = library.rgb_to_yiq", "False"),
        ("library.ONE_THIRD", "True"),
        ("library.rgb_to_yiq(0, 0, 0)", "True"),
        ("import colorsys", "True"),
        ("from colorsys import ONE_THIRD", "True"),
    ],
)
def test_it_is_imported_when_it_is_used(use: str, expected: str) -> None:
    assert told(f"{LATER}\n{use}\nprint(loaded())") == expected


def test_others_have_the_module_itself() -> None:
    code = "import colorsys\nprint(isinstance(colorsys, Later), library.ONE_THIRD == colorsys.ONE_THIRD)"
    assert told(f"{LATER}\n{code}") == "False True"


def test_meanwhile_it_says_whether_it_is_there() -> None:
    code = (
        'with later("uu"):\n    import uu\n    print(bool(importlib.util.find_spec("uu")), type(uu).__name__)'
    )
    assert told(f"{LATER}\n{code}") == "True Later"


def test_a_function_does_what_the_modules_does() -> None:
    code = "from labctl.later import later\nwith later('textwrap', ['shorten']): import textwrap\n"
    assert told(f"{code}print(textwrap.shorten('so many words', width=9))") == "so [...]"


def test_what_was_imported_before_stays() -> None:
    assert told(f"import json\n{LATER}\nwith later('json'): print(sys.modules['json'] is json)") == "True"


def test_one_that_is_not_there_fails_when_it_is_used() -> None:
    code = f"{LATER}\nwith later('no_such_thing'): import no_such_thing"
    assert told(f"{code}\ntry: no_such_thing.x\nexcept ImportError: print(1)") == "1"


def test_the_results_do_not_bring_asyncio_along(tmp_path: Path) -> None:
    use = (
        f"import sys; from labctl.store import open_store; store = open_store('sqlite:///{tmp_path}/r', "
        "create=True); store.runs(); store.close(); print([m for m in ('asyncio', 'ssl') if m in "
    )
    assert told(f"{use} sys.modules])") == "[]"


def test_who_uses_asyncio_has_it_once() -> None:
    use = (
        "import labctl.store, asyncio.events, asyncio\nasync def f(): return 'here'\nprint(asyncio.run(f()))"
    )
    assert told(f"{use}\nassert asyncio.AbstractEventLoop is asyncio.events.AbstractEventLoop") == "here"
