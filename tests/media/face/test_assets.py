"""The shipped pictures: complete, small, and what the painting program paints."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from media.speaking.face import assets
from media.speaking.face.assets import ASSETS, PictureMissing
from media.speaking.face.geometry import PICTURES, RECTS, TEXTURE_SCALES

ROOT = Path(__file__).parents[3]
PAINTING = ROOT / "media/speaking/face/painting"
ASSETS_BYTES_MAX = 1_500_000


def shipped() -> dict[str, Path]:
    return {path.relative_to(ASSETS).as_posix(): path for path in sorted(ASSETS.rglob("*.png"))}


def test_the_pictures_stay_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in shipped().values()) < ASSETS_BYTES_MAX


@pytest.mark.parametrize("scale", TEXTURE_SCALES)
def test_layers_have_the_size_of_their_rectangles(scale: float) -> None:
    for name, (x0, y0, x1, y1) in RECTS.items():
        expected = (round((y1 - y0) * scale), round((x1 - x0) * scale))
        assert assets.layer(name, scale).shape == (*expected, 4)
    assert assets.creases(scale).shape == assets.layer("head", scale).shape[:2]
    for picture, pixels in PICTURES.items():
        assert assets.feature(picture).shape[1] == pixels


def test_a_missing_picture_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PictureMissing, match=r"head\.png .* install the package again"):
        assets.read(tmp_path / "head.png")


def test_a_damaged_picture_says_what_to_do(tmp_path: Path) -> None:
    whole = (ASSETS / "features/iris.png").read_bytes()
    damaged = tmp_path / "iris.png"
    damaged.write_bytes(b"not a picture" + whole[:40])
    with pytest.raises(PictureMissing, match="install the package again"):
        assets.read(damaged)


def test_the_painting_program_paints_the_shipped_pictures_again() -> None:
    pytest.importorskip(
        "skia", reason="painting needs skia-python and the system's libEGL", exc_type=ImportError
    )
    program = importlib.import_module("media.speaking.face.painting.program")

    painted = program.pictures()
    assert painted.keys() == shipped().keys()
    for path, pixels in painted.items():
        old = assets.read_straight(ASSETS / path).astype(float)
        new = pixels.astype(float)
        assert old.shape == new.shape, path
        # Colour counts as far as it is opaque. Another release of skia may round an edge another way.
        for picture in (old, new):
            picture[..., :3] *= picture[..., 3:] / 255
        differing = np.abs(old - new)
        assert differing.mean() < 0.1, path
        assert np.quantile(differing, 0.999) <= 2, path


def test_skia_is_imported_by_the_painting_program_alone() -> None:
    importers = set()
    for room in ("domain", "workflows", "activities", "media", "migrations", "ops"):
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else []
                )
                if any(name.split(".")[0] == "skia" or name.endswith("face.painting") for name in names):
                    importers.add(file)
    assert importers
    assert all(file.is_relative_to(PAINTING) for file in importers), importers


def test_a_frame_is_drawn_without_skia_and_pillow() -> None:
    program = (
        "import sys; sys.modules['skia'] = sys.modules['PIL'] = None\n"
        "from media.speaking.face import FaceRenderer, FrameMemory, Pose\n"
        "from media.speaking.face.rig import posed\n"
        "print(FaceRenderer(device='cpu').render([posed()], FrameMemory())[0].y.shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.strip() == "(512, 512)", done.stderr
