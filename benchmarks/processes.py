"""What processes cost, as the kernel counts it."""

import contextlib
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """The process and everything that came of it and is still there."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            found += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
    return found


def cpu(pids: list[int]) -> float:
    """Seconds of CPU that the processes, and children of theirs that have ended, have taken so far."""
    spent = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            spent += sum(int(ticks) for ticks in fields[11:15])
    return spent / _TICKS


def resident(pid: int) -> float:
    """Megabytes of the process that are in memory, those included that it shares with others."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6


def proportional(pids: list[int]) -> float:
    """Megabytes of all of them together: what several share counts once."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3
