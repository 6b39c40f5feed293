"""What lies in a data folder is its owner's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.stack.folder import FOLDER_MODE, DataFolder


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o022, 0o000])
def test_a_new_data_folder_is_closed_to_others_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    folder = DataFolder(tmp_path / "data")

    with umask(mask):
        folder.open(product_version="0")

    assert FOLDER_MODE == 0o700
    for path in (folder.root, folder.recordings, folder.logs):
        assert mode(path) == FOLDER_MODE


def test_recordings_that_were_open_to_others_are_closed_at_the_next_start(tmp_path: Path) -> None:
    # Given a folder that was chosen by somebody, and recordings in it that everybody can list
    folder = DataFolder(tmp_path)
    folder.root.chmod(0o755)
    for path in (folder.recordings, folder.logs):
        path.mkdir()
        path.chmod(0o755)

    folder.open(product_version="0")

    # Then what is ours in it is closed, and the folder itself keeps what was chosen
    assert [mode(folder.root), mode(folder.recordings), mode(folder.logs)] == [0o755, 0o700, 0o700]
