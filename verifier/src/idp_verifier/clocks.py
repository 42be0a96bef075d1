"""What time it is: the clock of tokens, and the one that only ever goes forward."""

import time
from collections.abc import Callable
from dataclasses import dataclass


def awake_or_asleep() -> float:
    """Seconds on a clock that never jumps and, where the system has such a one (Linux), goes on while it is suspended:
    what was known before that is old afterwards.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class Clocks:
    """`monotonic` measures durations; `wall` is asked for what tokens say in seconds since 1970, and for nothing else.

    `sleep` waits for as many seconds of `monotonic`.
    """

    monotonic: Callable[[], float] = awake_or_asleep
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
