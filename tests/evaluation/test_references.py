import os
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from service.errors import InvalidManifest, InvalidRequest, InvalidSamples, ReferenceNotFound
from service.evaluation.references import KEPT_ROWS, Reference, References, make_reference, save_reference
from service.metrics.statistics import Statistics, statistics_of
from service.settings import Settings


def reference(name: str = "mnist-test", n: int = 60, scale: float = 1.0) -> Reference:
    rng = np.random.default_rng(0)
    return make_reference(
        name,
        (rng.standard_normal((n, 6)) * scale).astype(np.float32),
        rng.dirichlet(np.ones(10), n).astype(np.float32),
        extractor="lenet5-mnist",
        weights_sha256="ab" * 32,
        dataset="mnist",
        sha256="cd" * 32,
    )


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    made = reference()
    path = save_reference(made, tmp_path)
    assert path == tmp_path / "mnist-test.safetensors"
    loaded = References(tmp_path).get("mnist-test")
    assert loaded.description == made.description
    assert loaded.statistics.count == 60
    for name in ("features", "probabilities"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(made, name))
    for name in ("mean", "covariance"):
        np.testing.assert_array_equal(getattr(loaded.statistics, name), getattr(made.statistics, name))
    assert loaded.side.count == 60


def test_a_reference_has_the_same_bytes_whenever_it_is_made(tmp_path: Path) -> None:
    first = save_reference(reference(), tmp_path / "a").read_bytes()
    assert save_reference(reference(), tmp_path / "b").read_bytes() == first


def test_statistics_are_of_all_samples_and_features_of_some() -> None:
    made = reference(n=2500)
    features = np.random.default_rng(0).standard_normal((2500, 6)).astype(np.float32)
    np.testing.assert_array_equal(made.statistics.covariance, statistics_of(features).covariance)
    assert made.description.count == 2500
    assert made.description.dim == 6
    assert made.features is not None
    assert made.probabilities is not None
    assert len(made.features) == len(made.probabilities) == KEPT_ROWS
    kept = {row.tobytes() for row in made.features}
    assert kept <= {row.tobytes() for row in features.astype(np.float16)}
    in_order = [row.tobytes() for row in features.astype(np.float16) if row.tobytes() in kept]
    assert [row.tobytes() for row in made.features] == in_order


@pytest.mark.parametrize("scale", [1e6, 1e-7])
def test_features_that_half_precision_would_lose_are_kept_in_single(scale: float) -> None:
    single, half = reference(scale=scale).features, reference().features
    assert single is not None
    assert half is not None
    assert single.dtype == np.float32
    assert half.dtype == np.float16


def test_names_are_listed_from_every_folder_and_the_first_wins(tmp_path: Path) -> None:
    state, shipped = tmp_path / "state", tmp_path / "shipped"
    save_reference(reference("mnist-test"), shipped)
    save_reference(reference("fashion-test"), shipped)
    save_reference(reference("mnist-test", n=30), state)
    store = References(state, shipped, tmp_path / "absent")
    assert store.names() == ["fashion-test", "mnist-test"]
    assert store.describe("mnist-test").count == 30


def test_the_state_directory_comes_before_what_is_shipped(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", models_dir=tmp_path / "models")
    save_reference(reference(), tmp_path / "models" / "references")
    assert References.of(settings).describe("mnist-test").count == 60
    save_reference(reference(n=30), tmp_path / "state" / "references")
    assert References.of(settings).describe("mnist-test").count == 30


@pytest.mark.parametrize(
    ("dataset", "name"), [("mnist", "mnist-test"), ("fashion-mnist", "fashion-test"), ("cifar-10", "cifar10-test")]
)
def test_the_shipped_test_sets_are_found_by_their_dataset(dataset: str, name: str) -> None:
    assert References.of(Settings()).test_set_of(dataset) == name


def test_a_dataset_without_a_test_set_is_answered_with_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ReferenceNotFound, match="references make NAME --dataset cifar-10"):
        References(tmp_path).test_set_of("cifar-10")


@pytest.mark.parametrize("name", ["absent", "../mnist-test", "", ".", "a/b", "A"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str, tmp_path: Path) -> None:
    save_reference(reference(), tmp_path / "inside")
    save_reference(reference(), tmp_path)
    with pytest.raises(ReferenceNotFound, match=r"stored: mnist-test\."):
        References(tmp_path / "inside").get(name)


def test_features_of_another_extractor_are_not_compared(tmp_path: Path) -> None:
    save_reference(reference(), tmp_path)
    described = References(tmp_path).describe("mnist-test")
    with pytest.raises(
        ReferenceNotFound, match=r"made with lenet5-mnist \(weights abababababab\), not with lenet5-fashion"
    ):
        described.check_extractor("lenet5-fashion", None)
    with pytest.raises(ReferenceNotFound, match=r"not with lenet5-mnist \(weights 000000000000\)"):
        described.check_extractor("lenet5-mnist", "0" * 64)
    described.check_extractor("lenet5-mnist", "ab" * 32)
    described.check_extractor("lenet5-mnist", None)


def test_a_reference_is_described_without_its_arrays_being_read(tmp_path: Path) -> None:
    path = save_reference(reference(), tmp_path)
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = content[8 : 8 + length].replace(b'"F16"', b'"BF16"')  # numbers that NumPy does not know
    path.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + length :])
    assert References(tmp_path).describe("mnist-test") == reference().description
    with pytest.raises(InvalidManifest, match=r"mnist-test\.safetensors"):
        References(tmp_path).get("mnist-test")


@pytest.mark.parametrize("name", ["", "Mnist", "a/b", ".hidden", "x" * 101])
def test_a_name_is_a_word(name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot name a reference"):
        reference(name)


def test_features_that_cannot_be_measured_are_not_stored() -> None:
    with pytest.raises(InvalidSamples, match="NaN"):
        reference(scale=np.nan)


@pytest.mark.parametrize("cut", [0, 10, 300, 2000])
def test_a_damaged_file_says_which(cut: int, tmp_path: Path) -> None:
    path = save_reference(reference(), tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidManifest, match=r"mnist-test\.safetensors"):
        References(tmp_path).get("mnist-test")


def test_a_file_that_is_no_reference_says_so(tmp_path: Path) -> None:
    path = save_reference(reference(), tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"reference"', b'"preferenc"'))
    with pytest.raises(InvalidManifest, match="does not describe a reference"):
        References(tmp_path).describe("mnist-test")


def test_a_reference_may_be_known_by_less_than_features_and_probabilities(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((30, 6))
    make = partial(make_reference, extractor="caller", weights_sha256="", dataset="sounds", sha256="ef" * 32)
    given = Statistics(rows.mean(axis=0), np.cov(rows, rowvar=False))
    for name, kept in (
        ("features", make("features", rows, None)),
        ("statistics", make("statistics", None, None, statistics=given)),
    ):
        save_reference(kept, tmp_path)
        loaded = References(tmp_path).get(name)
        assert loaded.description == kept.description
        assert (loaded.features is None, loaded.probabilities) == (name == "statistics", None)
        assert loaded.side.count == (None if name == "statistics" else 30)
    with pytest.raises(InvalidSamples, match="needs features or statistics"):
        make("nothing", None, None)


@pytest.mark.parametrize(("offset", "kept"), [(10.0, np.float16), (100.0, np.float32)])
def test_a_hundredth_of_a_columns_spread_may_be_lost_to_half_precision_and_no_more(offset: float, kept: type) -> None:
    rows = np.random.default_rng(0).standard_normal((200, 6)).astype(np.float32)
    rows[:, 3] += offset  # half precision steps by 2⁻⁷ between 8 and 16, by 2⁻⁴ between 64 and 128
    made = make_reference("a", rows, None, extractor="e", weights_sha256="", dataset="d", sha256="")
    assert made.features is not None
    assert made.features.dtype == kept


def test_the_seed_chooses_the_rows_that_are_kept() -> None:
    rows = np.arange(2 * KEPT_ROWS, dtype=np.float64)[:, None]
    make = partial(make_reference, "a", rows, None, extractor="e", weights_sha256="", dataset="d", sha256="")
    chosen = [made.features for made in (make(seed=1), make(seed=1), make(seed=2))]
    assert chosen[0] is not None
    np.testing.assert_array_equal(chosen[0], chosen[1])
    assert not np.array_equal(chosen[0], chosen[2])  # type: ignore[arg-type] # there are features
    assert make(seed=2).description.seed == 2


def test_the_rows_that_are_kept_come_from_the_whole_set() -> None:
    rows = np.arange(2 * KEPT_ROWS, dtype=np.float64)[:, None]
    made = make_reference("a", rows, None, extractor="e", weights_sha256="", dataset="d", sha256="")
    assert made.features is not None
    assert 0.4 < (made.features > KEPT_ROWS).mean() < 0.6


def test_a_reference_is_on_the_disk_before_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    path = tmp_path / "mnist-test.safetensors"

    def fsync(descriptor: int) -> None:
        if not path.exists():
            kept.append(os.pread(descriptor, 1 << 20, 0))

    monkeypatch.setattr(os, "fsync", fsync)
    save_reference(reference(), tmp_path)
    assert set(kept) == {path.read_bytes()}
