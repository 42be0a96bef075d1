"""Metrics: what this process counts, and how all of its siblings' counts are read together."""

import os
from functools import lru_cache
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

REQUESTS = Counter("canopy_http_requests", "Requests by route, method and status.", ("route", "method", "status"))

LATENCY = Histogram(
    "canopy_http_request_seconds",
    "Time until a request was answered.",
    ("route",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

DATABASE_WAIT = Histogram(
    "canopy_database_wait_seconds",
    "Time spent waiting for a connection, or for a turn to write.",
    ("what",),
    buckets=(0.0001, 0.001, 0.01, 0.1, 0.5, 1, 2.5, 5),
)

TURNED_AWAY = Counter("canopy_http_turned_away", "Requests answered with 503 before any work was done.", ("why",))

JOBS = Counter("canopy_jobs", "Jobs by kind and how an attempt at them ended.", ("kind", "outcome"))

JOBS_WAITING = Gauge("canopy_jobs_waiting", "Jobs not done yet.", ("state",), multiprocess_mode="mostrecent")

JOBS_AGE = Gauge(
    "canopy_jobs_oldest_due_seconds", "How long the oldest job is due.", ("state",), multiprocess_mode="mostrecent"
)

CONTENT_TYPE = CONTENT_TYPE_LATEST


def request(route: str, method: str, status: int, seconds: float) -> None:
    """Count one request. `route` and `method` come from short lists, never from what somebody sent."""
    _requests(route, method, status).inc()
    _latency(route).observe(seconds)


def waited(what: str, seconds: float) -> None:
    """Note a wait for the database: for a `connection`, or for a `turn` to write."""
    _waits(what).observe(seconds)


@lru_cache
def _waits(what: str) -> Histogram:
    return DATABASE_WAIT.labels(what)


@lru_cache
def _requests(route: str, method: str, status: int) -> Counter:
    return REQUESTS.labels(route, method, str(status))


@lru_cache
def _latency(route: str) -> Histogram:
    return LATENCY.labels(route)


def share(folder: Path) -> None:
    """Count in files in `folder`, where the counts of processes forked from this one are read together.

    Call it once, before anything was counted. Every metric has labels: only so nothing was made before.
    """
    if begun := [metric.name for metric in REGISTRY.collect() if metric.name.startswith("canopy_") and metric.samples]:
        raise RuntimeError(f"already counted: {', '.join(begun)}")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


def forget(pid: int) -> None:
    """Drop what a process that has ended said of its own state; what it counted stays."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]


def exposition() -> bytes:
    """Everything counted, in Prometheus' text format; over all workers when `PROMETHEUS_MULTIPROC_DIR` joins them."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)
