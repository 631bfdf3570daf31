"""The lab done the way a student does it: commands typed over SSH, the workers started from a shell."""

from __future__ import annotations

from pathlib import Path

from vms import STUDENT, Machines

SERVER = Path(__file__).parent.parent.parent / "templates" / "lab7" / "server.py"

ZONE = """\
$TTL 1h
@       IN SOA  {fqdn}. root.{fqdn}. ( 7 1h 15m 30d 2h )
@       IN NS   {fqdn}.
@       IN A    {address}
test    IN A    93.184.216.34
kitchen IN A    10.77.0.99
www     IN CNAME kitchen
@       IN MX   10 kitchen
@       IN TXT  "made by hand"
"""

OPTIONS = """\
options {
        directory "/var/cache/bind";
        allow-recursion { localhost; 10.77.0.0/24; };
        dnssec-validation auto;
        listen-on-v6 { any; };
};
"""

HAPROXY = """\

listen stats
        bind *:7001
        mode http
        stats enable
        stats hide-version
        stats uri /stats

frontend door
        bind *:7000
        mode http
        default_backend kitchen

backend kitchen
        mode http
        balance roundrobin
        server a 127.0.0.1:8080 check
        server b 127.0.0.1:8081 check
        server c 127.0.0.1:8082 check
        server d 127.0.0.1:8083 check
        server e 127.0.0.1:8084 check
        server f 127.0.0.1:8085 check
"""

IN_A_SHELL = "cd ~/decal && { nohup python3 server.py > server.log 2>&1 < /dev/null & }"
# Until the last worker listens, and HAProxy has seen all of them.
WAIT = (
    "for n in $(seq 40); do bash -c 'exec 3<>/dev/tcp/127.0.0.1/8085' 2> /dev/null && break; sleep 1; done; "
    "sleep 5"
)
IN_TMUX = "cd ~/decal && tmux new-session -d -s lab 'python3 server.py'"


def by_hand(machines: Machines) -> None:
    """The VMs with the lab done by hand, the workers started from a shell; done once a session."""
    if not machines.box.has_snapshot(STUDENT, "by-hand"):
        solve(machines)
        machines.keep("by-hand")
    machines.restore("by-hand")


def in_tmux(machines: Machines) -> None:
    """The same, with the workers in a tmux session."""
    by_hand(machines)
    # In a command of its own: pkill must not find its own shell.
    machines.run("pkill -f '[s]erver[.]py'; sleep 1")
    machines.run(IN_TMUX)
    machines.run(WAIT, timeout=90)


def solve(machines: Machines) -> None:
    """Staff's server is set up, the student's VM is bare: there the student types the lab's commands."""
    machines.provisioned()
    machines.box.restore(STUDENT, "bare")
    fqdn, address = f"{STUDENT}.decal.xcf.sh", "10.77.0.11"

    def write(path: str, text: str, append: bool = False) -> None:
        tee = f"sudo tee {'-a ' if append else ''}{path} > /dev/null"
        done = machines.box.run(STUDENT, tee, stdin=text)
        assert done.status == 0, done.stderr

    machines.run("sudo apt-get install -y nfs-common bind9 haproxy python3-tornado", timeout=600)
    machines.run("sudo mount staff2.decal.xcf.sh:/opt/lab7/public /mnt && cat /mnt/* && sudo umount /mnt")
    machines.run(f"sudo mount -t nfs staff2.decal.xcf.sh:/opt/lab7/private/{STUDENT} /mnt")
    machines.run("echo 'my own note' | sudo tee /mnt/note.txt")

    write("/etc/bind/named.conf.options", OPTIONS)
    stanza = 'zone "example.com" {\n  type master;\n  file "/etc/bind/db.example.com";\n};\n'
    write("/etc/bind/named.conf.local", stanza, append=True)
    write("/etc/bind/db.example.com", ZONE.format(fqdn=fqdn, address=address))
    machines.run("sudo systemctl reload bind9")

    write("/etc/haproxy/haproxy.cfg", HAPROXY, append=True)
    machines.run("sudo systemctl restart haproxy")
    machines.run("mkdir -p ~/decal")
    done = machines.box.run(STUDENT, "cat > ~/decal/server.py", stdin=SERVER.read_text())
    assert done.status == 0
    machines.run(IN_A_SHELL)

    machines.run("sudo ufw allow 22/tcp && sudo ufw allow 53 && sudo ufw allow 7000:7001/tcp")
    machines.run("sudo ufw --force enable")
    machines.run(WAIT, timeout=90)
