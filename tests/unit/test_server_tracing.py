"""Spans say how a question went and hold no texts."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ragtune.server import tracing
from ragtune.types import Answer, Route


def test_a_span_says_how_it_went_and_no_text() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    answer = Answer("the secret", (), (), "uncited", Route(), {"total": 0.5}, "base", written="s")
    with tracing.question("ragtune/base") as traced:
        traced.answered(answer, 7)
    with pytest.raises(ValueError), tracing.question("ragtune"):  # noqa: PT011
        raise ValueError("the secret")
    good, bad = spans.get_finished_spans()
    assert good.attributes is not None
    assert good.attributes["gen_ai.usage.output_tokens"] == 7
    assert good.attributes["gen_ai.request.model"] == "ragtune/base"
    assert good.attributes["ragtune.seconds.total"] == 0.5
    assert bad.attributes is not None
    assert bad.attributes["error.type"] == "ValueError"
    assert "secret" not in good.to_json() + bad.to_json()
