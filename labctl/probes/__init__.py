"""What can be observed of a VM: constructors of requests, and the observations that they yield.

Nothing here judges. A request made here is carried out by :class:`Observer`; a check gets the observation by
``see(request)``.
"""

from labctl.probes.bind import Bind, zone_check
from labctl.probes.crash import CrashReport, WorkerGroup, crash_experiment
from labctl.probes.decoding import Malformed, decode, encode
from labctl.probes.dns import DnsAnswer, Record, dns_query
from labctl.probes.haproxy import (
    Haproxy,
    Proxy,
    Server,
    ServerState,
    Settled,
    config_check,
    parse_state,
    servers_in,
)
from labctl.probes.http import Replies, Reply, http_sample
from labctl.probes.http_shots import Shot, ShotReplies, ShotReply, http_shots
from labctl.probes.nfs import Mount, Mounts, ShareTrial, WriteTrial, mounts, share_trial, write_trial
from labctl.probes.observer import Observer, StaffLink
from labctl.probes.request import Observed, Probe, Request, Unobserved, Vantage
from labctl.probes.system import (
    Addresses,
    Directory,
    File,
    Firewall,
    Package,
    Packages,
    Socket,
    Sockets,
    Unit,
    Units,
    addresses,
    directory,
    file_read,
    packages,
    sockets,
    ufw_status,
    unit,
)

__all__ = [
    "Addresses", "Bind", "CrashReport", "Directory", "DnsAnswer", "File", "Firewall", "Haproxy",
    "Malformed", "Mount", "Mounts", "Observed", "Observer", "Package", "Packages", "Probe", "Proxy",
    "Record", "Replies", "Reply", "Request", "Server", "ServerState", "Settled", "ShareTrial", "Shot",
    "ShotReplies", "ShotReply",
    "Socket", "Sockets", "StaffLink", "Unit", "Units", "Unobserved", "Vantage", "WorkerGroup",
    "WriteTrial", "addresses", "config_check", "crash_experiment", "decode", "directory",
    "dns_query", "encode", "file_read", "http_sample", "http_shots", "mounts", "packages", "parse_state",
    "servers_in", "share_trial", "sockets", "ufw_status", "unit", "write_trial",
    "zone_check",
]  # fmt: skip
