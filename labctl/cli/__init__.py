"""The command line: parse, call, render. The only room that prints and exits."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any

import click

from labctl import __version__
from labctl.cli.leaving import hold
from labctl.errors import LabctlError, RequestError, around

#: Each command's file is imported when the command is used: --help must not wait for paramiko.
COMMANDS = {
    "setup": "Prepare VMs with playbooks.",
    "reset": "Take the lab off VMs again.",
    "grade": "Check what VMs really do, and give points, reasons and hints.",
    "runs": "List the grading runs that were kept.",
    "show": "Show a run's scorecards, or what was seen.",
    "compare": "Show how two runs differ.",
    "stats": "Show what a class's results say together.",
    "regrade": "Judge a run again by today's checks, from what was seen.",
    "export": "Write a run for Gradescope, a gradebook, CI or a browser.",
    "gradescope": "Sign results for students, and build the autograder that reads them.",
    "services": "Show what listens on VMs, and who can reach it.",
    "hosts": "Show the inventory, and whether its VMs answer.",
    "lab": "Show labs and their rubrics.",
    "sandbox": "Run practice VMs on this machine.",
    "doctor": "Say what is missing on this machine, and the command that mends it.",
}


#: What a full disk answers to whoever writes.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_KEPT = "make room there; what was graded is kept: labctl runs, labctl show RUN"
_NOT_KEPT = "make room there, and type it once more"
_MADE_AGAIN = "it was removed; if it was made again since, cd to it once more"
#: Those that need no other machine: the student's labctl.pyz has them alone, and no SSH.
STUDENT_COMMANDS = ("grade", "services", "lab")


def commands() -> dict[str, str]:
    """The commands that are there."""
    if importlib.util.find_spec("paramiko"):
        return COMMANDS
    return {name: COMMANDS[name] for name in STUDENT_COMMANDS}


class _ReaderGone(Exception):
    """The reader of our output has gone. click ends with 1 for the BrokenPipeError itself."""


@contextlib.contextmanager
def _ending_in_order() -> Iterator[None]:
    """What click would make another end of."""
    try:
        yield
    except BrokenPipeError as err:
        raise _ReaderGone from err
    except KeyboardInterrupt:
        hold()
        raise


class _LazyGroup(click.Group):
    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with _ending_in_order():  # --help is printed here
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _ending_in_order():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(commands())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in commands():
            raise click.UsageError(
                f"{cmd_name} is not in this labctl, which is for the machine that it runs on. "
                f"It has: {', '.join(commands())}.",
                ctx,
            )
        module = importlib.import_module(f"labctl.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as err:
            if args[0] in COMMANDS:
                raise
            from labctl.documents import nearest

            near = nearest(args[0], commands())
            raise click.UsageError(
                f"{err.message} Did you mean {near}?" if near else err.message, ctx
            ) from err

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(commands().items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 all well, 1 some check or task failed, 2 the request was wrong, "
    "3 some VM could not be reached or judged, 130 interrupted.",
)
@click.version_option(__version__, prog_name="labctl")
def cli() -> None:
    """Prepare, check and grade students' Linux VMs over SSH."""


def main(argv: Sequence[str] | None = None, program: str = "labctl") -> int:
    """Run one command line; returns the exit status. ``program`` is what the user types for labctl."""
    _prepare_streams()
    try:
        status: Any = cli.main(
            args=None if argv is None else list(argv), prog_name=program, standalone_mode=False
        )
    except click.Abort:
        hold()
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as err:
        err.show()
        return 2
    except KeyboardInterrupt:
        hold()
        click.echo("interrupted", err=True)
        return 130
    except LabctlError as err:
        show_error(err)
        return err.exit_status
    except (_ReaderGone, BrokenPipeError):
        # `labctl ... | head`: there is nothing more to say, and Python is not to try what the buffers hold
        _drop_output(sys.stdout, sys.stderr)
        return 141
    except OSError as err:
        if isinstance(err, FileNotFoundError) and not _is_somewhere():
            show_error(RequestError("the working directory is not there any more", hint=_MADE_AGAIN))
            return RequestError.exit_status
        if err.errno not in _FULL:
            raise
        # What is left in the buffers has no place to go to; Python would try once more.
        _drop_output(sys.stdout)
        with contextlib.suppress(OSError):
            hint = _KEPT if "runs" in commands() else _NOT_KEPT
            show_error(LabctlError(f"the output could not be written: {err.strerror}", hint=hint))
        return LabctlError.exit_status
    return status if isinstance(status, int) else 0


def _is_somewhere() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - only whether there is one
    except OSError:
        return False
    return True


def _prepare_streams() -> None:
    """Each standard stream is there and takes what is printed, also where it was closed (`labctl ... >&-`)
    or cannot show a letter: the work is not to end for that.

    A file that is opened later would otherwise get the number of one that was closed, and what is written
    there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free: this one
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")


def _drop_output(*streams: IO[str]) -> None:
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def show_error(err: LabctlError) -> None:
    """Message, the line of the file it is about, and what to do next, on stderr."""
    from labctl import vault
    from labctl.report.text import plain

    def show(text: str) -> None:
        click.echo(plain(vault.masked(text)), err=True)

    where = ""
    if isinstance(err, RequestError) and err.place:
        where = f"{err.place}: "
    show(f"labctl: {where}{err.message}")
    if isinstance(err, RequestError) and err.place and err.place.text:
        # masked while it is whole: half a secret would not be found
        excerpt, column = around(vault.masked(err.place.text), err.place.column)
        show(f"    {excerpt}")
        click.echo("    " + " " * (column - 1) + "^", err=True)
    if err.hint:
        show(f"  {err.hint}")
