"""The API against its own schema: generated requests of every kind, within a minute."""

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok

from ragtune import workspace
from serving import TOKEN, ready, start, stop

pytestmark = pytest.mark.integration

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    root = tmp_path_factory.mktemp("schema")
    (root / "notes").mkdir()
    (root / "notes" / "one.md").write_text("# Tea\n\nTea is served at four in the garden.\n")
    with workspace.init(root) as opened:
        opened.add([root / "notes"])
        running = ready(start(opened, "--no-watch"))
    yield schemathesis.openapi.from_url(running.url + "/api/openapi.json", headers=HEADERS)
    stop(running)


# what starts processes, ends the session, or never ends
SLOW = r"^/api/(tunes|compares|jobs/\{id\}/(events|resume)|examples/check|session)|^/mcp"


def test_nothing_that_is_sent_makes_the_server_fail(api: schemathesis.BaseSchema) -> None:
    tried = 0
    for found in api.exclude(path_regex=SLOW).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @hypothesis.seed(0)
        @hypothesis.settings(
            max_examples=8, deadline=None, database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )  # fmt: skip
        @hypothesis.given(case=operation.as_strategy())
        def send(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(headers=HEADERS, checks=[not_a_server_error])

        send()
        tried += 1
    assert tried > 25
