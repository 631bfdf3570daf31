"""Lab 7, Networked Services: an NFS client, a DNS zone, a load balancer."""

from labctl.grading import Lab

from . import balancing, crash, nfs, other, outside, zone

LAB = Lab(
    name="lab7",
    title="Networked Services",
    sections=(("nfs", "NFS"), ("dns", "DNS"), ("lb", "Load balancing")),
    checks=(*nfs.CHECKS, *zone.CHECKS, *outside.CHECKS, *balancing.CHECKS, *other.CHECKS, *crash.CHECKS),
)
