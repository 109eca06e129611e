import torch

from service.training.team import Team


def test_a_process_alone_draws_and_shares_as_if_there_were_no_team() -> None:
    torch.manual_seed(3)
    expected = torch.randperm(10)
    torch.manual_seed(3)
    order = Team().draw_order(10, torch.device("cpu"))
    assert torch.equal(order, expected)
    assert Team().share(order) is order
    assert Team().leads
    net = torch.nn.Linear(1, 1)
    assert Team().wrap(net) is net


def test_the_shares_of_a_batch_are_equally_large_and_leave_nothing_out() -> None:
    rows = torch.arange(10, 20)
    shares = [Team(rank, 3).share(rows) for rank in range(3)]
    assert {len(share) for share in shares} == {4}
    assert set(torch.cat(shares).tolist()) == set(range(10, 20))
    assert Team(1, 3).share(rows[:1]).tolist() == [10]
