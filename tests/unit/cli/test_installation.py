"""Setting up a clone: nothing is done twice, and what goes wrong is said in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from ops.stack.installation import (
    STOP_EXIT_CODE,
    Folder,
    InstallationStopped,
    find_browser,
    install,
    install_browser,
    main,
    sentence_for,
)

SCRIPTS = Path(__file__).resolve().parents[3] / "ops"


@pytest.fixture
def clone(tmp_path: Path) -> Folder:
    (tmp_path / "ops").mkdir()
    for name in ("ops/requirements.lock", "ops/requirements-dev.lock"):
        (tmp_path / name).write_text("nothing-of-the-kind==1.0 --hash=sha256:" + "0" * 64 + "\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    return Folder(tmp_path)


def installed(folder: Folder) -> None:
    # Without pip: a set-up that is left alone needs none.
    venv.create(folder.venv, with_pip=False)
    for dev in (False, True):
        folder.stamp(dev=dev).write_text(folder.fingerprint(dev=dev))


def test_a_setup_whose_lock_has_not_changed_is_left_alone(clone: Folder) -> None:
    installed(clone)

    install(clone, dev=False)
    install(clone, dev=True)

    assert not clone.log.exists()


def test_a_changed_lock_is_installed_again(clone: Folder) -> None:
    installed(clone)
    clone.lock(dev=False).write_text("")

    with pytest.raises(InstallationStopped, match="Installing 0 packages"):
        install(clone, dev=False)

    assert not clone.is_installed(dev=False)
    assert clone.is_installed(dev=True)


def test_a_moved_clone_is_installed_again(clone: Folder, tmp_path: Path) -> None:
    installed(clone)
    shutil.copytree(clone.root, tmp_path / "moved", symlinks=True)

    assert clone.is_installed(dev=False)
    assert not Folder(tmp_path / "moved").is_installed(dev=False)


def test_a_step_that_fails_ends_in_one_sentence_and_code_2(
    clone: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(clone)
    clone.lock(dev=False).write_text("")

    code = main([], clone.root)

    assert code == STOP_EXIT_CODE
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("Retrying … Temporary failure in name resolution", "cannot be reached"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", "checksum differs"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("error: something else", "read install.log"),
    ],
)
def test_what_went_wrong_is_said_with_what_to_do(log: str, sentence: str) -> None:
    assert sentence in sentence_for("Installing", log, Path("install.log"))


def test_a_browser_that_is_there_is_used(clone: Folder) -> None:
    assert find_browser({"google-chrome": "/bin/chrome"}.get) == "/bin/chrome"
    install_browser(clone, root=False, which={"chromium": "/bin/chromium"}.get)


@pytest.mark.parametrize(("root", "tools"), [(False, {"apt-get": "/usr/bin/apt-get"}), (True, {})])
def test_without_a_browser_and_leave_to_install_one_it_says_what_to_install(
    clone: Folder, root: bool, tools: dict[str, str]
) -> None:
    with pytest.raises(InstallationStopped, match="apt-get install chromium"):
        install_browser(clone, root=root, which=tools.get)


def run_script(tmp_path: Path, *names: str, body: str) -> subprocess.CompletedProcess[str]:
    """`ops/install.sh` in a folder of its own, where the only interpreters are the ones written here."""
    (tmp_path / "ops" / "stack").mkdir(parents=True)
    shutil.copy(SCRIPTS / "install.sh", tmp_path / "ops")
    (tmp_path / "ops/stack/installation.py").write_text("print('set up')\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in names:
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    (tools / "dirname").symlink_to("/usr/bin/dirname")
    sh = ["/bin/sh", str(tmp_path / "ops/install.sh")]
    return subprocess.run(sh, env={"PATH": str(tools)}, capture_output=True, text=True, check=False)


def test_a_stub_that_fails_when_called_is_no_python(tmp_path: Path) -> None:
    result = run_script(tmp_path, "python3", "python3.12", body="echo 'command not found' >&2; exit 127")

    assert result.returncode == STOP_EXIT_CODE
    assert result.stderr.count("\n") == 1
    assert "needs Python 3.11, 3.12 or 3.13" in result.stderr


def test_a_python_of_the_right_version_is_taken_whatever_its_name(tmp_path: Path) -> None:
    result = run_script(tmp_path, "python3.12", body=f'exec {sys.executable} "$@"')

    assert (result.returncode, result.stdout) == (0, "set up\n")


def test_a_python_without_venv_is_named(tmp_path: Path) -> None:
    body = f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"'

    result = run_script(tmp_path, "python3", body=body)

    assert result.returncode == STOP_EXIT_CODE
    assert "python3 has no venv module" in result.stderr
    assert os.linesep in result.stderr
