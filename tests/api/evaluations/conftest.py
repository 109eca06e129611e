"""An evaluator beside the tests whose requests wait for one."""

from collections.abc import AsyncIterator

import pytest
from api.evaluating import evaluating

from service.api.state import State
from service.evaluation.pipeline import Bench
from service.evaluation.worker import Evaluator


@pytest.fixture
async def evaluator(bench: Bench, state: State) -> AsyncIterator[Evaluator]:
    """At work on what this test's front accepts, with what the test may have changed of its bench."""
    async with evaluating(state, bench) as running:
        yield running
