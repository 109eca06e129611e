import torch

from service.nets.sequential import ClockworkClassifier, EchoStateClassifier, as_sequence

IMAGES = torch.arange(24.0).view(1, 2, 3, 4)


def test_rows_are_read_from_top_to_bottom() -> None:
    rows = as_sequence(IMAGES, "rows")
    assert rows.shape == (1, 3, 8)
    assert rows[0, 1].tolist() == [4, 16, 5, 17, 6, 18, 7, 19]


def test_pixels_are_read_as_words_are() -> None:
    pixels = as_sequence(IMAGES, "pixels")
    assert pixels.shape == (1, 12, 2)
    assert pixels[0, 5].tolist() == [5, 17]


def test_a_reservoir_is_looked_at_in_even_steps_and_at_the_end() -> None:
    net = EchoStateClassifier(units=10, kept=7)
    assert net.looks == [3, 7, 11, 15, 19, 23, 27]
    x = torch.rand(2, 1, 28, 28)
    states = net.reservoir(as_sequence(x, "rows").double())
    torch.testing.assert_close(net.features(x)[:, -10:], states[:, -1, -10:].float())
    assert net.state_dict().keys() == {"readout.weight", "readout.bias"}


def test_both_classifiers_read_pixels_too() -> None:
    x = torch.rand(2, 1, 4, 4)
    assert EchoStateClassifier(view="pixels", inputs=1, steps=16, units=10, kept=2)(x).shape == (2, 10)
    assert ClockworkClassifier(view="pixels", inputs=1, units=8)(x).shape == (2, 10)


def test_a_clockwork_classifier_looks_at_what_its_modules_end_with() -> None:
    net = ClockworkClassifier(units=8)
    x = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(net.features(x), net.hidden(as_sequence(x, "rows"))[:, -1])
