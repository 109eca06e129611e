"""docs/chapter-6.md is what was measured, and what is measured is what it is called."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import backward

from experiments.recurrence.__main__ import DOCUMENT, MEASUREMENTS, page_of, tasks_of
from experiments.recurrence.document import judge, quicker
from experiments.recurrence.players import KINDS, Kind, Player, last_outputs
from experiments.recurrence.record import Record, Trained, read_record
from experiments.recurrence.tasks import Adding, Narma, Task, Waves
from experiments.recurrence.training import SEEDS, STEEPEST, clip_each, compete, step_each
from service.settings import Settings

RECORD = read_record(MEASUREMENTS)
TASKS = tasks_of(Settings())

every_kind = pytest.mark.parametrize("kind", KINDS)


def test_the_page_is_what_its_measurements_say() -> None:
    said = DOCUMENT.read_text("utf-8")
    assert page_of(TASKS, RECORD) == said, "`python -m experiments.recurrence --render` puts it right"


@pytest.mark.parametrize("found", RECORD.trained, ids=lambda found: f"{found.task}, {found.net}")
def test_every_net_that_was_measured_kept_within_its_parameters(found: Trained) -> None:
    [task] = [task for task in TASKS if task.key == found.task]
    assert found.parameters <= task.budget
    assert len(found.errors) == SEEDS
    assert (found.steps, found.updates) == (task.steps, task.updates), "`python -m experiments.recurrence` trains anew"


def test_what_is_not_measured_stands_there_as_such() -> None:
    page = page_of(TASKS, Record())
    assert "## Not measured yet" in page
    assert all(f"- {task.title}: " in page for task in TASKS)
    begun = page_of(TASKS, Record(trained=RECORD.trained[:1]))
    assert begun.count("not trained yet | –") == len(KINDS) - 1


def test_a_net_that_is_trained_anew_takes_its_own_place() -> None:
    first, *others = RECORD.trained
    anew = first.model_copy(update={"updates": 1})
    assert RECORD.added(anew).trained == (*others, anew)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.key)
def test_what_is_not_reproduced_says_what_limits_it(task: Task) -> None:
    ours, *others = (RECORD.of(task.key)[kind].errors for kind in KINDS)
    is_reproduced = all(judge(ours, theirs, task.idle) == "reproduced" for theirs in others)
    assert is_reproduced or task.limits


def test_a_rate_at_the_edge_of_those_that_were_tried_is_said_to_be_there() -> None:
    found = RECORD.of("waveforms")["LSTM"].model_copy(update={"tried": {"0.001": 0.2, "0.01": 0.1, "0.1": 0.3}})
    words = "At the edge of the rates"
    assert words not in page_of(TASKS, Record(trained=(found.model_copy(update={"rate": 0.01}),)))
    assert "the LSTM's 0.1." in page_of(TASKS, Record(trained=(found.model_copy(update={"rate": 0.1}),)))


def test_times_that_are_nearly_the_same_say_nothing() -> None:
    assert [quicker(time, 100) for time in (50, 95, 150)] == ["reproduced", "too close to call", "**not reproduced**"]


@every_kind
def test_a_net_is_as_large_as_its_parameters_allow(kind: Kind) -> None:
    player = Player(kind, 1, 1, (1, 2, 4))
    units = player.largest(500)
    assert player.parameters(units) <= 500 < player.parameters(units + 1)


def test_a_net_beside_others_learns_as_it_would_alone() -> None:
    """Two nets of one stack, one at a tenth of the rate: each takes Adam's steps at its own."""
    rates, x, y = (1e-2, 1e-3), torch.randn(3, 4, 1), torch.randn(3)
    player = Player("Clockwork RNN", 1, 1, (1, 2))
    both = player.build(4, groups=2)
    alone = [player.build(4) for _ in rates]
    for place, net in enumerate(alone):
        own = {name: weight.chunk(2)[place].clone() for name, weight in both.state_dict().items()}
        net.load_state_dict(own)

    def losses(net: nn.Module) -> Tensor:
        return (last_outputs(net, x) - y[:, None]).square().mean(dim=0)

    optimiser = torch.optim.Adam(both.parameters(), lr=max(rates))
    own_steps = [torch.optim.Adam(net.parameters(), lr=rate) for net, rate in zip(alone, rates, strict=True)]
    for _ in range(3):
        optimiser.zero_grad()
        backward(losses(both).sum())
        step_each(optimiser, both, torch.tensor(rates) / max(rates))
        for net, steps in zip(alone, own_steps, strict=True):
            steps.zero_grad()
            backward(losses(net).sum())
            steps.step()
    torch.testing.assert_close(losses(both), torch.cat([losses(net) for net in alone]))


def test_the_gradient_of_each_net_is_clipped_for_itself() -> None:
    both = Player("plain RNN", 1, 1, (1,)).build(4, groups=2)
    for weight in both.parameters():
        weight.grad = torch.ones_like(weight)
        weight.grad[: len(weight) // 2] *= 1e-3
    clip_each(both, 2)
    first, second = (
        torch.cat([weight.grad.chunk(2)[place].flatten() for weight in both.parameters() if weight.grad is not None])
        for place in range(2)
    )
    torch.testing.assert_close(first, torch.full_like(first, 1e-3))
    assert float(second.norm()) == pytest.approx(STEEPEST)


def test_the_sum_that_is_asked_for_is_that_of_the_marked_numbers() -> None:
    class Summing(nn.Module):
        def features(self, x: Tensor) -> Tensor:
            return x.prod(dim=2, keepdim=True).cumsum(dim=1)

    task = Adding(tested_on=10)
    x, y = task._draw(10)
    assert x[..., 1].sum(dim=1).tolist() == [2] * 10
    torch.testing.assert_close(Summing().features(x)[:, -1, 0], y)


def test_who_knows_narma_by_heart_has_no_error() -> None:
    task = Narma()

    class Knowing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return task._scaled["test"][1][None, : x.shape[1]]

    assert task.errors(Knowing(), "test").tolist() == [0]
    assert float(task.errors(Knowing(), "tuning")) > 1


@every_kind
def test_a_competition_reports_every_seed(kind: Kind) -> None:
    task = Waves(steps=20, updates=40, budget=200, periods=(1, 2, 4))
    task.__dict__["_waves"] = torch.sin(torch.arange(20.0))[:, None] * torch.arange(1.0, 6.0)
    found = compete(task, kind)
    assert len(found.errors) == len(found.losses[0]) == 5
    assert found.rate == float(min(found.tried, key=found.tried.__getitem__))


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ((0.1, 0.11), (0.3, 0.31), "reproduced"),
        ((0.3, 0.31), (0.1, 0.11), "**not reproduced**"),
        ((0.1, 0.3), (0.15, 0.35), "too close to call"),
        ((0.91, 0.92), (0.98, 0.99), "neither has learnt it"),
        ((0.1, 0.11), (0.98, 0.99), "reproduced"),
    ],
)
def test_a_difference_counts_from_two_standard_errors_on(
    ours: tuple[float, ...], theirs: tuple[float, ...], said: str
) -> None:
    assert judge(ours, theirs, 1.0) == said
