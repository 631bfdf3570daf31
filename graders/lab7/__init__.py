"""Lab 7, Networked Services: an NFS client, a DNS zone, a load balancer."""

from labctl.grading import Lab, staff_checks

from . import balancing, crash, nfs, other, outside, zone
from .facts import RUBRIC

LAB = Lab.of(
    "lab7",
    RUBRIC,
    (
        *(*nfs.CHECKS, *zone.CHECKS, *outside.CHECKS, *balancing.CHECKS, *other.CHECKS, *crash.CHECKS),
        *staff_checks(__name__),
    ),
)
