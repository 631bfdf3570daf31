"""A run as JUnit XML, for continuous integration. No I/O; remote text is escaped here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from labctl.report.text import plain, points

_ELEMENTS = {"fail": "failure", "error": "error", "skip": "skipped"}


def render_junit(run: Mapping[str, Any]) -> str:
    """A test suite for every VM, a test case for every check. A VM that was not graded is one error."""
    suites = [_suite(host) for host in run["hosts"]]
    root = ET.Element("testsuites", {"name": _text(f"{run['lab']} {run['run']}"), **_totals(suites)})
    root.extend(suites)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _totals(suites: list[ET.Element]) -> dict[str, str]:
    return {
        name: str(sum(int(one.get(name, "0")) for one in suites))
        for name in ("tests", "failures", "errors", "skipped")
    }


def _suite(host: Mapping[str, Any]) -> ET.Element:
    cases = [_case(host, check) for check in host["checks"]]
    if not cases and host["status"] != "graded":
        cases = [_lost(host)]
    counted = {word: sum(1 for case in cases if case.find(word) is not None) for word in _ELEMENTS.values()}
    suite = ET.Element(
        "testsuite",
        {
            "name": _text(host["host"]),
            "tests": str(len(cases)),
            "failures": str(counted["failure"]),
            "errors": str(counted["error"]),
            "skipped": str(counted["skipped"]),
            "time": f"{host['seconds'] or 0:g}",
        },
    )
    if host.get("started"):
        suite.set("timestamp", _text(host["started"]).removesuffix("Z"))
    properties = ET.SubElement(suite, "properties")
    for name in ("score", "max_score"):
        if host[name] is not None:
            ET.SubElement(properties, "property", {"name": name, "value": points(host[name])})
    suite.extend(cases)
    return suite


def _case(host: Mapping[str, Any], check: Mapping[str, Any]) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": _text(f"{host['host']}.{check['section']}"),
            "name": _text(f"{check['id']}: {check['title']}"),
            "time": f"{check['seconds']:g}",
        },
    )
    if check["verdict"] in _ELEMENTS:
        found = ET.SubElement(case, _ELEMENTS[check["verdict"]], {"message": _text(check["seen"])})
        if check["verdict"] != "skip":
            found.set("type", check["verdict"])
            told = [f"{label}: {check[label]}" for label in ("expected", "seen", "hint") if check[label]]
            found.text = plain("\n".join(told), limit=2000)
    return case


def _lost(host: Mapping[str, Any]) -> ET.Element:
    case = ET.Element("testcase", {"classname": _text(host["host"]), "name": "the VM is graded", "time": "0"})
    error = ET.SubElement(case, "error", {"message": _text(host["error"] or "not judged")})
    error.set("type", _text(host["error_cause"] or "error"))
    error.text = plain(host["error_hint"] or "", limit=2000)
    return case


def _text(value: object) -> str:
    return plain(str(value).replace("\n", " "), limit=600, multiline=False)
