"""The floor: what playbook.yml would look at, by one python3 on the machine, without a tool around it."""

import grp
import hashlib
import json
import os
import pwd
import socket
import stat
import subprocess
from pathlib import Path

FILES = """/opt/lab /opt/lab/www /opt/lab/zones /etc/bind/db.example.com /etc/bind/named.conf.local
/etc/bind/named.conf.options /etc/haproxy/haproxy.cfg /opt/lab/www/a.html /opt/lab/www/b.html
/etc/systemd/system/lab-worker@.service /etc/default/named /srv/www /opt/lab/old"""
PORTS = range(8080, 8086)


def run(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout.decode()


def look(path):
    try:
        found = os.lstat(path)
    except OSError:
        return None
    told = [oct(found.st_mode), pwd.getpwuid(found.st_uid)[0], grp.getgrgid(found.st_gid)[0]]
    if stat.S_ISREG(found.st_mode):
        told.append(hashlib.sha256(Path(path).read_bytes()).hexdigest())
    return told


told = {path: look(path) for path in FILES.split()}
told["packages"] = run(
    "dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", "bind9", "haproxy", "curl"
)
told["units"] = run(
    "systemctl",
    "show",
    "-p",
    "Id,ActiveState,UnitFileState",
    "named",
    "haproxy",
    *(f"lab-worker@{port}" for port in PORTS),
)
for port in PORTS:
    socket.create_connection(("127.0.0.1", port), 5).close()
told["user"] = list(pwd.getpwnam("worker"))
told["named"] = run("named-checkconf")
print(json.dumps(told))
