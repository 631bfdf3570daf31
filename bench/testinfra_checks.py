"""Twenty checks of lab 7 as a user of pytest-testinfra would write them."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["bind9", "haproxy", "nfs-common"])
def test_package(host, name):
    assert host.package(name).is_installed


@pytest.mark.parametrize("name", ["named", "haproxy"])
def test_unit(host, name):
    service = host.service(name)
    assert service.is_running
    assert service.is_enabled


@pytest.mark.parametrize(
    "address",
    ["udp://127.0.0.1:53", *(f"tcp://127.0.0.1:{port}" for port in range(8080, 8086))],
)
def test_listens(host, address):
    assert host.socket(address).is_listening


@pytest.mark.parametrize("record", ["test A", "api A", "www CNAME", "_http._tcp SRV"])
def test_record(host, record):
    name, kind = record.split()
    assert host.check_output(f"dig +short @127.0.0.1 {name}.example.com {kind}")


@pytest.mark.parametrize("port", [7000, 7001])
def test_balancer(host, port):
    assert f":{port}" in host.check_output(f"ss -Hltn sport = :{port}")


def test_named_configuration(host):
    assert host.run("named-checkconf").rc == 0


def test_haproxy_configuration(host):
    assert host.run("haproxy -c -f /etc/haproxy/haproxy.cfg").rc == 0
