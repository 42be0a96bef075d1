"""Metrics: what this process counts, and how all of its siblings' counts are read together."""

import os

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

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

CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition() -> bytes:
    """Everything counted, in Prometheus' text format; over all workers when `PROMETHEUS_MULTIPROC_DIR` joins them."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)
