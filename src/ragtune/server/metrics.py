"""Prometheus metrics of one server; labels are routes and outcomes, never texts or names."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ragtune.server.work import Lane, Work
from ragtune.types import Answer

_FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters of requests and answers; gauges of the queues are read when asked for."""

    def __init__(self, work: Work) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "ragtune_requests", "HTTP requests", ("route", "method", "status"),
            registry=self._registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "ragtune_request_seconds", "Until a response's headers are sent", ("route",),
            buckets=_FAST, registry=self._registry,
        )  # fmt: skip
        self.answers = Counter(
            "ragtune_answers", "Answers", ("status", "writes"), registry=self._registry
        )
        self.stages = Histogram(
            "ragtune_answer_seconds", "Seconds by stage of an answer", ("stage",),
            buckets=_FAST, registry=self._registry,
        )  # fmt: skip
        running = Gauge("ragtune_running", "Work running", ("lane",), registry=self._registry)
        waiting = Gauge("ragtune_waiting", "Work waiting", ("lane",), registry=self._registry)
        for lane in work.lanes:
            running.labels(lane.name).set_function(partial(_running, lane))
            waiting.labels(lane.name).set_function(partial(_waiting, lane))

    def answered(self, answer: Answer) -> None:
        """Counts an answer and its stages."""
        self.answers.labels(answer.status, str(answer.model != "quote").lower()).inc()
        for stage, seconds in answer.timings.items():
            self.stages.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)


def _running(lane: Lane) -> float:
    return min(lane.entered, lane.slots)


def _waiting(lane: Lane) -> float:
    return lane.queue
