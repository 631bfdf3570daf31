"""What makes one VM different from the next: names, addresses, keys, user.

Handed to the VM as a tar file through QEMU's firmware configuration device; the first boot stage
(guest/init) lays it over the root file system before systemd starts, once.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from labctl.errors import SandboxError
from labctl.sandbox import network

_SCRIPT = """\
set -e
echo '{user}:x:1000:1000:{user}:/home/{user}:/bin/bash' >>/etc/passwd
echo '{user}:x:1000:' >>/etc/group
# no password, but not locked either: sshd without PAM would refuse a locked user
echo '{user}:*:20000:0:99999:7:::' >>/etc/shadow
cp -r /etc/skel /home/{user}
mkdir -p /home/{user}/.ssh
cp /var/lib/labctl/authorized_keys /home/{user}/.ssh/authorized_keys
chown -R 1000:1000 /home/{user}
chmod 700 /home/{user}/.ssh
chmod 755 /home/{user}
"""

# A /32: what comes from this machine (10.0.2.2 to the VM) must not count as a neighbour of the VM,
# or BIND's default ("localnets" may recurse) would take the grader for a member of the local network.
_NETWORK = """\
link set lo up
link set eth0 up
address add 10.0.2.15/32 dev eth0
route add 10.0.2.2/32 dev eth0
route add 10.0.2.3/32 dev eth0
route add default via 10.0.2.2
link set eth1 addrgenmode none
link set eth1 up
address add {lan}/24 broadcast + dev eth1
"""


def make_key(comment: str) -> tuple[str, str]:
    """A new ed25519 key pair in OpenSSH's formats: (private, public line)."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise SandboxError("ssh-keygen is missing", hint="apt-get install openssh-client")
    with tempfile.TemporaryDirectory(prefix="labctl-key-") as directory:
        path = Path(directory) / "key"
        subprocess.run(
            [program, "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return path.read_text(encoding="ascii"), Path(f"{path}.pub").read_text(encoding="ascii").strip()


def public_of(private: str) -> str:
    """The public line (type and key) of a private key."""
    program = shutil.which("ssh-keygen") or "ssh-keygen"
    with tempfile.TemporaryDirectory(prefix="labctl-key-") as directory:
        path = Path(directory) / "key"
        path.touch(mode=0o600)
        path.write_text(private, encoding="ascii")
        done = subprocess.run(
            [program, "-y", "-f", str(path)],
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    return " ".join(done.stdout.split()[:2])


def known_hosts_line(address: str, port: int, public: str) -> str:
    """One line for known_hosts; OpenSSH wants the brackets if and only if the port is not 22."""
    host = address if port == network.SSH else f"[{address}]:{port}"
    return f"{host} {' '.join(public.split()[:2])}\n"


def files(vm: str, *, machine_id: str, host_key: str, authorized: str) -> dict[str, tuple[int, str]]:
    """Path in the VM (no leading slash) -> (mode, text)."""
    return {
        "etc/hostname": (0o644, f"{vm}\n"),
        "etc/hosts": (0o644, network.hosts_file(vm)),
        "etc/machine-id": (0o444, f"{machine_id}\n"),
        "etc/labctl/network": (0o644, _NETWORK.format(lan=network.lan_address(vm))),
        "etc/ssh/ssh_host_ed25519_key": (0o600, host_key),
        "etc/ssh/ssh_host_ed25519_key.pub": (0o644, public_of(host_key) + "\n"),
        f"etc/sudoers.d/{vm}": (0o440, f"{vm} ALL=(ALL:ALL) NOPASSWD:ALL\n"),
        "var/lib/labctl/authorized_keys": (0o600, authorized + "\n"),
        "var/lib/labctl/seed.sh": (0o755, _SCRIPT.format(user=vm)),
    }


def archive(contents: dict[str, tuple[int, str]]) -> bytes:
    """The tar file, everything owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, (mode, text) in contents.items():
            data = text.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
