"""What time it is: the clock of tokens, and the one that only ever goes forward."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clocks:
    """`monotonic` measures durations; `wall` is asked for what tokens say in seconds since 1970, and for nothing else.

    `sleep` waits for as many seconds of `monotonic`.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
