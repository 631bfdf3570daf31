"""Lab 7, Networked Services: an NFS client, a DNS zone, a load balancer."""

from pathlib import Path

from labctl.grading import Lab, load_rubric, staff_checks

from . import balancing, crash, nfs, outside, zone

LAB = Lab.of(
    "lab7",
    load_rubric(Path(__file__).with_name("rubric.yml")),
    (
        *nfs.CHECKS,
        *zone.CHECKS,
        *outside.CHECKS,
        *balancing.CHECKS,
        *crash.CHECKS,
        *staff_checks(__name__),
    ),
)
