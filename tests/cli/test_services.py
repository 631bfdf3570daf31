"""labctl services on this machine, with a listener of the test's own."""

from __future__ import annotations

import json
import os
import socket

from vms import labctl


def test_what_listens_is_told_with_its_process_and_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as link:
        done = labctl("services", "--json")
        text = labctl("services").stdout
        port = link.getsockname()[1]
    assert done.returncode == 0, done.stderr
    (host,) = json.loads(done.stdout)["hosts"]
    (row,) = [one for one in host["services"] if one["port"] == port]
    with open(f"/proc/{os.getpid()}/comm") as comm:
        assert row["process"] == comm.read().strip()
    assert (row["proto"], row["address"], row["reach"]) == ("tcp", "127.0.0.1", "loopback")
    (line,) = [line for line in text.splitlines() if f" {port}/tcp " in line]
    assert line.endswith("loopback")


def test_a_vm_that_cannot_be_asked_is_named() -> None:
    done = labctl("services", "nobody@127.0.0.1:1", "--json")
    assert done.returncode == 3
    (host,) = json.loads(done.stdout)["hosts"]
    assert host["services"] == []
    assert host["error"].startswith("unreachable: ")
