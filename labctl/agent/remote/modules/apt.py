"""apt: packages installed, newest, or gone. What is there already is known without starting apt."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from .. import dpkg
from ..command import Finished, run_command
from ..outcome import Context, Failed

_STAMP = "/var/lib/apt/periodic/update-success-stamp"
_LISTS = "/var/lib/apt/lists"


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    if not os.path.exists("/usr/bin/apt-get"):
        raise Failed("there is no apt-get on this VM: is it a Debian?")
    result: dict[str, Any] = {"changed": False, "msg": "", "cache_updated": False}
    age = _age()
    result["cache_update_time"] = int(time.time() - age) if age != float("inf") else 0
    names = [str(name) for name in args.get("name") or []]
    _update_cache(args, ctx, result)
    if args.get("upgrade", "no") != "no":
        _upgrade(args, ctx, result)
    if args.get("deb"):
        _deb(args["deb"], args, ctx, result)
    if names:
        state = args.get("state", "present")
        (_remove if state == "absent" else _install)(names, args, ctx, result)
    if args.get("autoremove") and not (names and result["changed"]):
        _autoremove(args, ctx, result)
    if args.get("clean") and not ctx.check:
        _apt(["clean"], args, ctx)
    if args.get("autoclean") and not ctx.check:
        _apt(["autoclean"], args, ctx)
    if not names and not args.get("deb") and result.get("cache_updated"):
        result["changed"] = True
    return result


def _say(result: dict[str, Any], ctx: Context, done: Finished | None, diff: str) -> None:
    result["changed"] = True
    if done is not None:
        result.update(stdout=done.out, stderr=done.err)
    if ctx.diff:
        result["diff"] = {"prepared": diff}


# -- the list of packages ------------------------------------------------------------------------


def _age() -> float:
    for path in (_STAMP, _LISTS):
        try:
            return time.time() - os.stat(path).st_mtime
        except OSError:
            continue
    return float("inf")


def _update_cache(args: dict[str, Any], ctx: Context, result: dict[str, Any]) -> None:
    valid = args.get("cache_valid_time") or 0
    if not (args.get("update_cache") or (args.get("update_cache") is None and valid)):
        return
    if valid and _age() < valid:
        return
    if not ctx.check:
        dpkg.wait_for_locks(_patience(args), ctx, (dpkg.LISTS_LOCK,))
        done = _apt(["update"], args, ctx, lock=False)
        failed = [
            line for line in (done.out + done.err).splitlines() if line.startswith(("W: Failed", "Err:"))
        ]
        if failed and not args.get("name"):
            raise Failed(
                "the package lists could not be fetched: %s" % failed[0], stdout=done.out, stderr=done.err
            )
    result["cache_updated"] = True
    result["cache_update_time"] = int(time.time())


# -- install, remove, upgrade --------------------------------------------------------------------


def _install(names: list[str], args: dict[str, Any], ctx: Context, result: dict[str, Any]) -> None:
    database = dpkg.packages()
    real = _real([name for name in names if database.only_provided(name)], ctx)
    missing = [name for name in names if name in real or not database.has(name)]
    if args.get("only_upgrade"):
        missing = []
    latest = args.get("state") == "latest"
    if not missing and not latest and not set(names).intersection(database.halfway):
        return
    words = ["install", *_options(args), *(names if latest else missing or names)]
    if latest and not missing:
        planned = _apt(["--simulate", *words], args, ctx, lock=False)
        if not re.search(r"^(Inst|Remv) ", planned.out, re.MULTILINE):
            return
    if ctx.check:
        _say(result, ctx, None, "".join("+ install %s\n" % name for name in missing or names))
        return
    _say(result, ctx, _apt(words, args, ctx), "".join("+ installed %s\n" % name for name in missing or names))


def _real(names: list[str], ctx: Context) -> set[str]:
    """Those of ``names`` that packages have: another that provides such a name does not stand for it."""
    if not names:
        return set()
    shown = run_command(["apt-cache", "show", "--no-all-versions", *names], timeout=ctx.remaining())
    return set(re.findall(r"^Package: (\S+)$", shown.out, re.MULTILINE))


def _remove(names: list[str], args: dict[str, Any], ctx: Context, result: dict[str, Any]) -> None:
    database = dpkg.packages()
    there = []
    for name in names:
        bare = name.partition("=")[0]
        there += database.matching(bare)
        if args.get("purge") and bare in database.config:
            there.append(bare)
    if not there:
        return
    text = "".join("- %s %s\n" % ("purge" if args.get("purge") else "remove", name) for name in there)
    if ctx.check:
        _say(result, ctx, None, text)
        return
    words = ["remove", *(["--purge"] if args.get("purge") else [])]
    if args.get("autoremove"):
        words.append("--auto-remove")
    _say(result, ctx, _apt([*words, *there], args, ctx), text)


def _autoremove(args: dict[str, Any], ctx: Context, result: dict[str, Any]) -> None:
    words = ["autoremove", *(["--purge"] if args.get("purge") else [])]
    planned = _apt(["--simulate", *words], args, ctx, lock=False)
    gone = re.findall(r"^(?:Remv|Purg) (\S+)", planned.out, re.MULTILINE)
    if gone:
        done = None if ctx.check else _apt(words, args, ctx)
        _say(result, ctx, done, "".join("- remove %s\n" % name for name in gone))


def _upgrade(args: dict[str, Any], ctx: Context, result: dict[str, Any]) -> None:
    words = ["dist-upgrade"] if args["upgrade"] in ("full", "dist") else ["upgrade", "--with-new-pkgs"]
    planned = _apt(["--simulate", *words], args, ctx, lock=False)
    new = re.findall(r"^Inst (\S+)", planned.out, re.MULTILINE)
    if new:
        done = None if ctx.check else _apt(words, args, ctx)
        _say(result, ctx, done, "".join("+ upgrade %s\n" % name for name in new))


def _deb(path: str, args: dict[str, Any], ctx: Context, result: dict[str, Any]) -> None:
    if not os.path.isfile(path):
        raise Failed("there is no file %s on the VM" % path)
    asked = run_command(["dpkg-deb", "-f", path, "Package", "Version"], timeout=ctx.remaining())
    fields = dict(line.split(": ", 1) for line in asked.out.splitlines() if ": " in line)
    name, version = fields.get("Package"), fields.get("Version")
    if not asked.ok or not name:
        raise Failed("%s is not a Debian package: %s" % (path, asked.err.strip()), rc=asked.rc)
    if dpkg.packages().installed.get(name) == version:
        return
    words = ["install", *_options(args), os.path.abspath(path)]
    _say(result, ctx, None if ctx.check else _apt(words, args, ctx), "+ install %s %s\n" % (name, version))


# -- running apt-get -----------------------------------------------------------------------------


def _options(args: dict[str, Any]) -> list[str]:
    words = []
    for option in str(args.get("dpkg_options", "force-confdef,force-confold")).split(","):
        words += ["-o", "Dpkg::Options::=--%s" % option]
    recommends = args.get("install_recommends")
    if recommends is not None:
        words += ["-o", "APT::Install-Recommends=%s" % ("yes" if recommends else "no")]
    if args.get("default_release"):
        words += ["-t", args["default_release"]]
    if args.get("only_upgrade"):
        words.append("--only-upgrade")
    return words


def _patience(args: dict[str, Any]) -> float:
    return float(args.get("lock_timeout", 60))


def _apt(words: list[str], args: dict[str, Any], ctx: Context, lock: bool = True) -> Finished:
    """apt-get, after waiting for its lock, and after finishing what an interrupted dpkg left."""
    if lock:
        waited = dpkg.wait_for_locks(_patience(args), ctx)
        if dpkg.interrupted() or dpkg.packages().halfway:
            _repair(ctx)
        left = max(1, int(_patience(args) - waited))
        words = ["-o", "DPkg::Lock::Timeout=%d" % left, *words]
    done = _run(words, args, ctx)
    if not done.ok and "dpkg was interrupted" in done.err:
        _repair(ctx)
        done = _run(words, args, ctx)
    if not done.ok:
        raise Failed(_explained(words, done), rc=done.rc, stdout=done.out, stderr=done.err)
    return done


def _run(words: list[str], args: dict[str, Any], ctx: Context) -> Finished:
    # It outlives a lost connection: dpkg ended halfway is worse than dpkg that finishes alone.
    argv = ["apt-get", "-y", *words]
    environment = {"APT_LISTCHANGES_FRONTEND": "none", "NEEDRESTART_SUSPEND": "1"}
    environment.update(args.get("_environment") or {})
    return run_command(argv, timeout=ctx.remaining() - 1, env=environment, outlive=True)


def _repair(ctx: Context) -> None:
    """Finish what an interrupted dpkg began."""
    options = ["--force-confdef", "--force-confold"]
    done = run_command(["dpkg", *options, "--configure", "-a"], timeout=ctx.remaining() - 1, outlive=True)
    if done.ok and not dpkg.packages().halfway:
        return
    fixed = run_command(["apt-get", "-y", "-f", "install"], timeout=ctx.remaining() - 1, outlive=True)
    if not fixed.ok:
        raise Failed(
            "an earlier dpkg run was interrupted and could not be finished: %s; "
            "on the VM: sudo dpkg --configure -a" % (done.err.strip() or fixed.err.strip())[-800:],
            rc=fixed.rc,
            stdout=done.out + fixed.out,
            stderr=done.err + fixed.err,
        )


def _explained(words: list[str], done: Finished) -> str:
    """What went wrong and what to do, from apt-get's errors."""
    errors = [line[3:] for line in done.err.splitlines() if line.startswith("E: ")]
    said = "; ".join(errors[:3]) or done.err.strip()[-500:] or "status %d" % done.rc
    hint = ""
    if done.timed_out:
        hint = " (its time was over: the mirror is slow or the VM is; timeout: on the task gives it more)"
    elif "Unable to locate package" in said or "has no installation candidate" in said:
        hint = " (is the name right? update_cache: true fetches newer package lists)"
    elif "Failed to fetch" in done.err or "Temporary failure resolving" in done.err:
        hint = " (the VM cannot reach its package mirror: check its network and resolver)"
    elif "No space left" in done.err or "enough free space" in done.err:
        hint = " (disk full on the VM: sudo apt-get clean, df -h)"
    elif "Could not get lock" in done.err:
        hint = " (another apt or dpkg is at work)"
    return "apt-get %s: %s%s" % (
        next((one for one in words if one[0] != "-" and "=" not in one), ""),
        said,
        hint,
    )
