"""Runs once inside the image while it is built (chroot, root): configuration, units, apt's local index.

It is uploaded by image.py and run by customize.sh; it is not imported by labctl. What differs
from release to release is in the environment (see releases.py), from VM to VM in the seed (see seed.py).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

ARCHIVES = Path("/var/cache/apt/archives")

FILES = {
    "/etc/apt/sources.list": os.environ["LABCTL_SOURCES"],
    # What the labs install lies in apt's cache with an index of its own: apt needs no network, and reads
    # a hundred package descriptions instead of sixty thousand, which takes an emulated VM half a minute.
    "/etc/apt/sources.list.d/labctl.list": f"deb [trusted=yes] file:{ARCHIVES} ./\n",
    "/etc/apt/apt.conf.d/50labctl": """\
Acquire::Languages "none";
APT::Install-Recommends "false";
APT::Periodic::Enable "0";
Acquire::Retries "1";
Acquire::http::Timeout "10";
Dpkg::Use-Pty "false";
""",
    "/etc/dpkg/dpkg.cfg.d/labctl": """\
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/lintian/*
""",
    "/etc/ssh/sshd_config.d/labctl.conf": """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
PrintMotd no
PrintLastLog no
""",
    "/etc/default/locale": "LANG=C.UTF-8\n",
    "/etc/fstab": "/dev/vda / ext4 rw,noatime 0 1\n",
    # short time-outs: a VM without a way out should notice soon
    "/etc/resolv.conf": "nameserver 10.0.2.3\noptions timeout:2 attempts:2\n",
    "/etc/systemd/journald.conf.d/labctl.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n",
    "/etc/systemd/system.conf.d/labctl.conf": "[Manager]\nDefaultTimeoutStopSec=20s\n",
    "/etc/systemd/system/labctl-network.service": """\
[Unit]
Description=Static addresses of this sandbox VM (/etc/labctl/network)
DefaultDependencies=no
After=local-fs.target
Before=network-pre.target network.target network-online.target shutdown.target
Wants=network-pre.target network.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/ip -batch /etc/labctl/network

[Install]
WantedBy=sysinit.target
RequiredBy=network-online.target
""",
    # The controller says the time after it has put the VM back to an earlier state. A serial port
    # rather than virtio-serial: it has no notion of "connected", so a snapshot cannot restore one.
    "/etc/systemd/system/labctl-clock.service": """\
[Unit]
Description=Sets the clock to what the sandbox says on ttyS1
DefaultDependencies=no
After=systemd-remount-fs.service
ConditionPathExists=/dev/ttyS1
Conflicts=shutdown.target
Before=shutdown.target

[Service]
ExecStart=/bin/sh /usr/share/labctl/clock.sh
Restart=always

[Install]
WantedBy=sysinit.target
""",
    "/usr/share/labctl/clock.sh": """\
exec <>/dev/ttyS1 >&0
stty raw -echo
echo ready
while read -r word value; do
    [ "$word" = set ] && date -s "@$value" >/dev/null && echo "set $value"
done
""",
}

# What a VM that lives an hour and has no screen need not start
MASKED = """
apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
fstrim.timer getty.target getty@tty1.service systemd-logind.service systemd-pstore.service
systemd-random-seed.service systemd-firstboot.service systemd-binfmt.service
proc-sys-fs-binfmt_misc.automount dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount
sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount kmod-static-nodes.service
modprobe@configfs.service modprobe@drm.service modprobe@fuse.service modprobe@efi_pstore.service
modprobe@dm_mod.service modprobe@loop.service systemd-remount-fs.service
serial-getty@ttyS0.service serial-getty@ttyS1.service systemd-update-utmp.service
systemd-update-utmp-runlevel.service systemd-hwdb-update.service systemd-machine-id-commit.service
motd-news.timer
"""

# Run at every daemon-reload, and a package's installation reloads several times; fstab's stays
GENERATORS_OFF = """
systemd-cryptsetup-generator systemd-debug-generator systemd-getty-generator systemd-gpt-auto-generator
systemd-hibernate-resume-generator systemd-integritysetup-generator systemd-rc-local-generator
systemd-run-generator systemd-system-update-generator systemd-sysv-generator systemd-veritysetup-generator
"""

ENABLED = ["labctl-network.service", "labctl-clock.service", "ssh.service"]


def index_archives() -> None:
    """Write ``Packages`` beside the .deb files: their own control data plus name, size and checksum."""
    stanzas = []
    for deb in sorted(ARCHIVES.glob("*.deb")):
        control = subprocess.run(
            ["/usr/bin/dpkg-deb", "-f", str(deb)], capture_output=True, text=True, check=True
        ).stdout.strip()
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        stanzas.append(f"{control}\nFilename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n")
    (ARCHIVES / "Packages").write_text("\n".join(stanzas), encoding="utf-8")


def main() -> None:
    for name, text in FILES.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
    generators = Path("/etc/systemd/system-generators")
    generators.mkdir()
    for name in GENERATORS_OFF.split():
        (generators / name).symlink_to("/dev/null")
    index_archives()
    subprocess.run(["/usr/bin/systemctl", "enable", *ENABLED], check=True)
    subprocess.run(["/usr/bin/systemctl", "mask", *MASKED.split()], check=True)
    subprocess.run(["/usr/bin/systemctl", "set-default", "multi-user.target"], check=True)
    subprocess.run(
        ["/usr/bin/debconf-set-selections"],
        input="debconf debconf/frontend select Noninteractive\n",
        text=True,
        check=True,
    )
    # systemd takes the id from the kernel's command line at the first boot
    Path("/etc/machine-id").write_text("", encoding="ascii")
    Path("/etc/hostname").write_text("localhost\n", encoding="ascii")


main()
