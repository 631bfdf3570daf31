"""Addresses, names and ports: what is fixed, and what happens when a port cannot be had."""

from __future__ import annotations

import socket

import pytest

from labctl.errors import SandboxError
from labctl.sandbox import network


def test_addresses_follow_from_the_name() -> None:
    assert network.vm_names(2) == ("staff2", "student1", "student2")
    assert network.lan_address("staff2") == "10.77.0.2"
    assert network.outside_address("default", "student3") == "127.77.0.13"
    assert network.outside_address("test", "staff2") == "127.78.0.2"


def test_sandboxes_of_other_names_get_other_loopback_nets() -> None:
    nets = {network.outside_net(name) for name in ("default", "test", "spare", "playbook", "x")}
    assert len(nets) == 5
    assert all(net.startswith("127.") for net in nets)


@pytest.mark.parametrize("students", [0, -1, network.MAX_STUDENTS + 1])
def test_a_senseless_number_of_students_is_refused(students: int) -> None:
    with pytest.raises(SandboxError, match=str(students)):
        network.vm_names(students)


def test_ports_stay_as_they_are_when_they_are_free() -> None:
    chosen = network.choose_ports("127.9.9.9", free=lambda *_: True)
    assert chosen == {22: 22, 53: 53, 80: 80, 7000: 7000, 7001: 7001}
    assert network.shifted(chosen) == {}


def test_low_ports_shift_for_an_ordinary_user() -> None:
    chosen = network.choose_ports("127.9.9.9", free=lambda _address, port, _kind: port >= 1024)
    assert network.shifted(chosen) == {22: 20022, 53: 20053, 80: 20080}


def test_a_shifted_port_in_use_goes_further() -> None:
    taken = {22, 20022, 21022}
    chosen = network.choose_ports("127.9.9.9", [22], free=lambda _address, port, _kind: port not in taken)
    assert chosen == {22: 22022}


def test_tcp_and_udp_of_a_port_shift_together() -> None:
    def free(_address: str, port: int, kind: int) -> bool:
        return not (port == 53 and kind == socket.SOCK_DGRAM)

    chosen = network.choose_ports("127.9.9.9", [53], free=free)
    assert chosen == {53: 20053}
    assert network.forwards("127.9.9.9", chosen) == [
        "hostfwd=tcp:127.9.9.9:20053-:53",
        "hostfwd=udp:127.9.9.9:20053-:53",
    ]


def test_no_port_at_all_is_an_error() -> None:
    with pytest.raises(SandboxError, match="no free port"):
        network.choose_ports("127.9.9.9", free=lambda *_: False)


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.9.9.9", 0)) as server:
        assert not network.is_free("127.9.9.9", server.getsockname()[1], socket.SOCK_STREAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.9.9.9", 0))
        assert not network.is_free("127.9.9.9", server.getsockname()[1], socket.SOCK_DGRAM)


def test_an_address_that_is_not_ours_is_an_error_not_a_port_in_use() -> None:
    with pytest.raises(SandboxError, match=r"192\.0\.2\.1"):
        network.is_free("192.0.2.1", 20000, socket.SOCK_STREAM)


def test_every_vm_resolves_every_name_to_the_lan() -> None:
    lines = network.hosts_file("student1").splitlines()
    assert "10.77.0.11 student1.decal.xcf.sh student1" in lines
    assert "10.77.0.2 staff2.decal.xcf.sh staff2" in lines
    assert not any(line.startswith("127.0.1.1") for line in lines)


def test_lans_are_told_apart() -> None:
    assert network.new_multicast() != network.new_multicast()
