import torch

from service.training.adversarial.replay import Replay


def batch(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((8, 1, 2, 2), float(number)), torch.full((8, 3), float(number))


def test_a_share_of_the_batch_is_of_earlier_ones_with_their_latents() -> None:
    replay = Replay(share=0.25, size=100)
    fake, z = replay.mix(*batch(1))
    assert torch.unique(fake).tolist() == [1.0]
    fake, z = replay.mix(*batch(2))
    assert fake[:, 0, 0, 0].tolist() == [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    assert torch.equal(z[:, 0], fake[:, 0, 0, 0])
    fake, z = replay.mix(*batch(3))
    assert set(torch.unique(fake[:2]).tolist()) <= {1.0, 2.0}
    assert torch.equal(z[:, 0], fake[:, 0, 0, 0])


def test_what_is_held_does_not_grow_beyond_its_size_and_is_renewed() -> None:
    replay = Replay(share=0.5, size=10)
    for number in range(200):
        replay.mix(*batch(number))
    held = replay.state_dict()["fake"][:, 0, 0, 0]
    assert len(held) == 10
    assert held.min() > 100


def test_no_share_changes_and_draws_nothing() -> None:
    replay, state = Replay(share=0, size=10), torch.get_rng_state()
    fake, z = batch(1)
    replay.mix(fake, z)
    mixed, beside = replay.mix(fake, z)
    assert mixed is fake
    assert beside is z
    assert torch.equal(torch.get_rng_state(), state)
    assert replay.state_dict() == {}


def test_it_goes_on_with_what_it_held() -> None:
    first, second = Replay(share=0.5, size=10), Replay(share=0.5, size=10)
    first.mix(*batch(1))
    second.load_state_dict(first.state_dict())
    fake, _ = second.mix(*batch(2))
    assert torch.unique(fake[:4]).tolist() == [1.0]
    second.load_state_dict(Replay(share=0.5, size=10).state_dict())
    assert torch.unique(second.mix(*batch(3))[0]).tolist() == [3.0]
