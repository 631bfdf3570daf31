"""playbook.yml for pyinfra: the same steps."""

from io import StringIO
from pathlib import Path

import yaml
from pyinfra.operations import apt, files, server, systemd

TASKS = yaml.safe_load(Path(__file__).with_name("playbook.yml").read_text())[0]["tasks"]


def content(name):
    (task,) = (task for task in TASKS if task["name"] == name)
    return next(task[module] for module in ("copy", "blockinfile") if module in task)


apt.packages(name="Packages", packages=["bind9", "haproxy", "curl"], _sudo=True)
for folder in ("/opt/lab", "/opt/lab/www", "/opt/lab/zones"):
    files.directory(name=f"Directory {folder}", path=folder, mode="755", _sudo=True)
server.user(
    name="A user", user="worker", system=True, ensure_home=False, shell="/usr/sbin/nologin", _sudo=True
)
for task in ("The zone", "BIND's options", "A worker's unit"):
    asked = content(task)
    files.put(name=task, src=StringIO(asked["content"]), dest=asked["dest"], mode="644", _sudo=True)
for task in ("The zone is served", "HAProxy"):
    asked = content(task)
    files.block(
        name=task,
        path=asked["path"],
        content=asked["block"],
        marker="# {mark} ANSIBLE MANAGED BLOCK",
        begin="BEGIN",
        end="END",
        _sudo=True,
    )
for page in ("a", "b"):
    files.put(
        name=f"Page {page}",
        src=StringIO(f"page {page}\n"),
        dest=f"/opt/lab/www/{page}.html",
        mode="644",
        _sudo=True,
    )
PORTS = range(8080, 8086)
for unit in ("named", "haproxy", *(f"lab-worker@{port}" for port in PORTS)):
    systemd.service(name=unit, service=unit, running=True, enabled=True, _sudo=True)
for port in PORTS:
    wait = f"timeout 10 sh -c 'until ss -Hltn sport = :{port} | grep -q .; do sleep 0.1; done'"
    server.shell(name=f"Worker {port} answers", commands=[wait], _sudo=True)
files.line(
    name="A setting",
    path="/etc/default/named",
    line="^OPTIONS=.*",
    replace='OPTIONS="-u bind -4"',
    _sudo=True,
)
files.link(name="A link", path="/srv/www", target="/opt/lab/www", _sudo=True)
files.file(name="No old file", path="/opt/lab/old", present=False, _sudo=True)
server.shell(name="The configuration is valid", commands=["named-checkconf"], _sudo=True)
