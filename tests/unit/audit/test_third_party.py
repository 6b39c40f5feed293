"""A log that is written with these formats satisfies a program that somebody else wrote."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from domain.audit.entry import ENTRY_BYTES
from domain.audit.merkle import leaf_hash
from domain.audit.tiles import EntryBundle, HashTile, parse_tile_path
from tests.unit.audit.logs import write_log

# Every Linux has another program of this name, which checks disks: this one says where it is from.
MODULE = b"github.com/transparency-dev/tessera/cmd/fsck"
INSTALL = "go install github.com/transparency-dev/tessera/cmd/fsck@latest"

SUCCESS = "Successfully fsck'd log with size"

# It takes a tenth of a second for 70,000 entries, and does not end on some logs that are wrong.
GOOD_S = 60
BAD_S = 4


def find_fsck() -> Path | None:
    """Where Go installs programs, then wherever the shell would look."""
    folders = [
        os.environ.get("GOBIN", ""),
        *(str(Path(each) / "bin") for each in os.environ.get("GOPATH", "").split(os.pathsep) if each),
        str(Path.home() / "go" / "bin"),
        *os.environ.get("PATH", "").split(os.pathsep),
    ]
    found = (shutil.which("fsck", path=folder) for folder in folders if folder)
    return next((Path(each) for each in found if each and MODULE in Path(each).read_bytes()), None)


def accepts(fsck: Path, folder: Path, *, limit_s: float) -> tuple[bool, str]:
    """Whether the checker says so within the limit, and what it printed. Its exit status says nothing: it is
    0 for a log that it refused, too."""
    command = [
        str(fsck),
        "-ui=false",
        "-public_key",
        str(folder / "key.vkey"),
        "-storage_url",
        f"file://{folder}/",
    ]
    try:
        ran = subprocess.run(
            command, timeout=limit_s, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except subprocess.TimeoutExpired as error:
        return False, (error.stdout or b"").decode(errors="replace")
    return ran.returncode == 0 and SUCCESS in ran.stdout, ran.stdout


@pytest.fixture
def fsck() -> Path:
    found = find_fsck()
    if found is None:
        pytest.skip(f"no third-party log checker here; to have it: {INSTALL}")
    return found


def test_the_checker_accepts_a_log_of_three_levels_and_finds_our_root(fsck: Path, tmp_path: Path) -> None:
    root = write_log(tmp_path, 70_000)

    accepted, printed = accepts(fsck, tmp_path, limit_s=GOOD_S)

    assert accepted, printed
    assert f"{SUCCESS} 70000 and root" in printed
    assert root.hex() in printed


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000])
def test_the_checker_accepts_logs_whose_edges_fill_tiles_or_do_not(
    fsck: Path, tmp_path: Path, size: int
) -> None:
    write_log(tmp_path, size)

    accepted, printed = accepts(fsck, tmp_path, limit_s=GOOD_S)

    assert accepted, printed


@pytest.mark.parametrize("name", ["tile/entries/000", "tile/0/000", "checkpoint"])
def test_the_checker_does_not_accept_a_log_with_one_changed_bit(
    fsck: Path, tmp_path: Path, name: str
) -> None:
    write_log(tmp_path, 600)
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)

    accepted, _ = accepts(fsck, tmp_path, limit_s=BAD_S)

    assert not accepted


def test_the_files_of_a_log_are_what_their_names_say(tmp_path: Path) -> None:
    # What the checker above does, as far as one file shows it: this runs everywhere.
    write_log(tmp_path, 700)
    paths = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert [path for path in paths if not path.startswith("tile/")] == ["checkpoint", "key.vkey"]

    names = {path: parse_tile_path(path) for path in paths if path.startswith("tile/")}

    assert list(names) == [
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/188",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/188",
    ]
    for path, name in names.items():
        if isinstance(name, EntryBundle):
            entries = name.decode((tmp_path / path).read_bytes())
            assert {len(entry) for entry in entries} == {ENTRY_BYTES}
            tile = HashTile(0, name.index, name.width)
            assert (tmp_path / tile.path).read_bytes() == b"".join(map(leaf_hash, entries))
