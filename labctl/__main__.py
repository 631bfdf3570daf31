"""The process: what is imported lives until its end, and nobody need look for garbage there.

With Python's own thresholds that takes a quarter of a short command's time, most of it as the process ends.
"""

import gc

gc.set_threshold(200_000)

from labctl.cli import main  # noqa: E402  imported under the threshold


def run() -> int:
    """The command line in a process of its own; returns the exit status."""
    try:
        return main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    raise SystemExit(run())
