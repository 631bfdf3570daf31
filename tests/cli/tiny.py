"""A course with a lab that any machine can be graded by in a moment, and many names for this machine."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

from vms import LABCTL, environment

from labctl.store import open_store

LAB = '''\
"""A lab for tests."""

from pathlib import Path

from labctl.grading import Judgement, Lab, See, Target, check, failed, load_rubric, passed
from labctl.probes import file_read


@check("box.file", question="1")
def has_file(vm: Target, see: See) -> Judgement:
    """The file is there."""
    if see(file_read(f"DIRECTORY/{vm.name}")).exists:
        return passed("it is")
    return failed(expected="a file", seen="no such file", hint="touch it")


@check("box.more", question="2", after=("box.file",), disruptive=True)
def more(vm: Target, see: See) -> Judgement:
    """There is more to it."""
    return passed()


LAB = Lab.of("tiny", load_rubric(Path(__file__).with_name("rubric.yml")), (has_file, more))
'''

RUBRIC = """\
title: A tiny lab
sections: {box: The box}
questions:
  - {id: "1", section: box, do: Make a box.}
  - {id: "2", section: box}
checks:
  box.file: {points: 3}
  box.more: {points: 2}
"""


def make_course(root: Path) -> Path:
    """The course's folder; a VM has the lab's file when ``root`` has one of the VM's name."""
    (root / "graders" / "tiny").mkdir(parents=True)
    (root / "labctl.toml").write_text('[grade]\nlab = "tiny"\n')
    (root / "graders" / "tiny" / "__init__.py").write_text(LAB.replace("DIRECTORY", str(root)))
    (root / "graders" / "tiny" / "rubric.yml").write_text(RUBRIC)
    return root


class Course:
    """``vms`` names of this machine, in an inventory; a VM whose file is :meth:`there` has full marks."""

    def __init__(self, root: Path, vms: int) -> None:
        self.root = make_course(root)
        self.names = [f"vm{number}" for number in range(vms)]
        self.inventory(dict.fromkeys(self.names, "ansible_connection: local"))
        self.url = f"sqlite:///{root}/results.sqlite"

    def inventory(self, hosts: dict[str, str]) -> None:
        lines = [f"    {name}: {{{variables}}}" for name, variables in hosts.items()]
        (self.root / "hosts.yml").write_text("\n".join(["all:", "  hosts:", *lines]) + "\n")

    def there(self, name: str) -> Path:
        path = self.root / name
        path.touch()
        return path

    def grade(self, *args: str) -> list[str]:
        """The command line."""
        options = ["--course", str(self.root), "-i", str(self.root / "hosts.yml"), "--database", self.url]
        return ["grade", *args, *options]

    def begin(self, *args: str) -> subprocess.Popen[str]:
        """``labctl grade`` in a process of its own."""
        return subprocess.Popen(
            [*LABCTL, *self.grade(*args)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def attempts(self) -> Counter[str]:
        """How many results each VM has, by all that was ever written."""
        store = open_store(self.url)
        try:
            (run,) = store.runs()
            return Counter(one.host for one in store.judgements(run.run))
        finally:
            store.close()
