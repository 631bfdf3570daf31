"""Lab 7, Networked Services: an NFS client, a DNS zone, a load balancer."""

from labctl.grading import Lab

from . import answers_dns, answers_lb, answers_nfs, balancing, crash, nfs, outside, services, zone
from .facts import RUBRIC

LAB = Lab.of(
    "lab7",
    RUBRIC,
    (
        *(*nfs.CHECKS, *zone.CHECKS, *outside.CHECKS, *balancing.CHECKS, *crash.CHECKS),
        *(*services.CHECKS, *answers_nfs.CHECKS, *answers_dns.CHECKS, *answers_lb.CHECKS),
    ),
)
