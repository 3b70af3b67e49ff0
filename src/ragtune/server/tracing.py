"""OpenTelemetry traces of questions, with the attributes of its GenAI conventions (extra `otel`).

One span a question, and what its stages took as attributes; texts of questions, documents and
answers are in none. Where a collector is named by the usual variables
(`OTEL_EXPORTER_OTLP_ENDPOINT`), `setup` sends there; without the extra nothing happens.
Source: opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from ragtune.errors import ConfigError
from ragtune.types import Answer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Question:
    """The span of one question; does nothing where there is no tracing."""

    def __init__(self, span: object = None) -> None:
        self._span = span

    def answered(self, answer: Answer, written: int) -> None:
        """Notes what came of it. `written` counts the pieces that a model wrote."""
        if self._span is None:
            return
        values: dict[str, str | int | float] = {
            "gen_ai.response.model": answer.model,
            "gen_ai.usage.output_tokens": written,
            "ragtune.status": answer.status,
            "ragtune.citations": len(answer.citations),
            "ragtune.support": answer.support,
        }
        values |= {f"ragtune.seconds.{stage}": s for stage, s in answer.timings.items()}
        for name, value in values.items():
            self._span.set_attribute(name, value)  # type: ignore[attr-defined]


@contextmanager
def question(model: str) -> Iterator[Question]:
    """The span around a question that `model` is asked."""
    if find_spec("opentelemetry") is None:
        yield Question()
        return
    from opentelemetry import trace

    tracer = trace.get_tracer("ragtune")
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ragtune",
        "gen_ai.request.model": model,
    }
    # Not made the current one: a stream's steps run in other contexts than its end.
    span = tracer.start_span(f"chat {model}", kind=trace.SpanKind.SERVER, attributes=attributes)
    try:
        yield Question(span if span.is_recording() else None)
    except Exception as error:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(trace.StatusCode.ERROR)  # what went wrong may hold texts
        raise
    finally:
        span.end()


def setup() -> bool:
    """Sends traces where the environment says; False where it names nothing. ConfigError."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return False
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError("traces need further packages: pip install 'ragtune[otel]'") from None
    named = os.environ.get("OTEL_SERVICE_NAME") or "ragtune"
    provider = TracerProvider(resource=Resource.create({"service.name": named}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return True
