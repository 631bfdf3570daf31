"""What can be observed of a VM: constructors of requests, and the observations that they yield.

Nothing here judges. A request made here is carried out by :class:`Observer`; a check gets the observation by
``see(request)``.
"""

from labctl.probes.bind import Bind, zone_check
from labctl.probes.crash import CrashReport, WorkerGroup, crash_experiment
from labctl.probes.decoding import Checked, Malformed, decode, encode
from labctl.probes.dns import DnsAnswer, Record, current_key, dns_query
from labctl.probes.haproxy import (
    Candidate,
    Haproxy,
    ServerState,
    Settled,
    candidate_check,
    config_check,
    parse_state,
    servers_in,
)
from labctl.probes.haproxy_config import Proxy, Section, Server, parse_config, sections_of
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
    Resolvers,
    Socket,
    Sockets,
    Unit,
    Units,
    addresses,
    directory,
    file_read,
    packages,
    resolvers,
    sockets,
    ufw_status,
    unit,
)
from labctl.probes.zone_lines import read_records, record_type

__all__ = [
    "Addresses", "Bind", "Candidate", "Checked", "CrashReport", "Directory", "DnsAnswer", "File", "Firewall",
    "Haproxy", "Malformed", "Mount", "Mounts", "Observed", "Observer", "Package", "Packages", "Probe",
    "Proxy", "Record", "Replies", "Reply", "Request", "Resolvers", "Section", "Server", "ServerState",
    "Settled", "ShareTrial", "Shot", "ShotReplies", "ShotReply",
    "Socket", "Sockets", "StaffLink", "Unit", "Units", "Unobserved", "Vantage",
    "WorkerGroup", "WriteTrial", "addresses", "candidate_check", "config_check", "crash_experiment",
    "current_key", "decode", "directory", "dns_query", "encode", "file_read", "http_sample", "http_shots",
    "mounts", "packages",
    "parse_config", "parse_state", "read_records", "record_type", "resolvers", "sections_of", "servers_in",
    "share_trial", "sockets", "ufw_status", "unit", "write_trial", "zone_check",
]  # fmt: skip
