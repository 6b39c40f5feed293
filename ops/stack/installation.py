"""Sets up .venv from the lock file, before anything of ours is installed: standard library only.

Run as a file by `ops/install.sh`. A set-up whose lock file has not changed is left alone, so that the second
start takes no time and needs no network.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRESS_INTERVAL_S = 1.0
# Without a terminal each report is a line of its own; fewer of them are easier to read in a log.
PLAIN_PROGRESS_INTERVAL_S = 15.0
INSTALL_TIMEOUT_S = 3600.0
LOG_TAIL_BYTES = 8192
STOP_EXIT_CODE = 2
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

NETWORK_MARKS = (
    "Temporary failure in name resolution",
    "Name or service not known",
    "nodename nor servname",
    "NewConnectionError",
    "ConnectTimeoutError",
    "Network is unreachable",
    "Connection refused",
    "Read timed out",
    "ProxyError",
    "No matching distribution found",
)


class InstallationStopped(Exception):
    """The set-up cannot go on. The text is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A clone of the repository and the virtual environment inside it."""

    root: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def log(self) -> Path:
        return self.venv / "install.log"

    def lock(self, *, dev: bool) -> Path:
        return self.root / "ops" / ("requirements-dev.lock" if dev else "requirements.lock")

    def stamp(self, *, dev: bool) -> Path:
        return self.venv / ("installed-dev" if dev else "installed")

    def fingerprint(self, *, dev: bool) -> str:
        """Changes with whatever would change the set-up: lock, project file, the place it was made for."""
        digest = hashlib.sha256(str(self.root).encode())
        for path in (self.lock(dev=dev), self.root / "pyproject.toml"):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def is_installed(self, *, dev: bool) -> bool:
        stamp = self.stamp(dev=dev)
        return stamp.exists() and stamp.read_text() == self.fingerprint(dev=dev)


def install(folder: Folder, *, dev: bool) -> None:
    """Brings .venv to what the lock file says. Raises InstallationStopped."""
    if not _answers(folder.python):
        # What is there was made by a Python that has gone, or only half made.
        shutil.rmtree(folder.venv, ignore_errors=True)
        folder.venv.mkdir()
        _run(folder, [sys.executable, "-m", "venv", str(folder.venv)], "Making .venv")
    if folder.is_installed(dev=dev):
        return
    count = sum(1 for line in folder.lock(dev=dev).read_text().splitlines() if "==" in line[:80])
    pip = [str(folder.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    _run(
        folder,
        [*pip, "--require-hashes", "-r", str(folder.lock(dev=dev))],
        f"Installing {count} packages into .venv (several gigabytes, once)",
    )
    # The build back end is in the lock, so this step needs no network.
    _run(folder, [*pip, "--no-deps", "--no-build-isolation", "-e", str(folder.root)], "Installing vivavoce")
    # The development lock holds every pin of the other one.
    for kind in {dev, False}:
        folder.stamp(dev=kind).write_text(folder.fingerprint(dev=kind))


def find_browser(which: Callable[[str], str | None] = shutil.which) -> str | None:
    return next((path for name in BROWSERS if (path := which(name))), None)


def install_browser(folder: Folder, *, root: bool, which: Callable[[str], str | None] = shutil.which) -> None:
    """Leaves a Chromium on the path. Raises InstallationStopped where it may not install one."""
    if find_browser(which) is not None:
        return
    if not root or which("apt-get") is None:
        raise InstallationStopped(
            "The tests need Chromium and found none: install it (Debian: apt-get install chromium; "
            "elsewhere any package that puts `chromium` or `google-chrome` on the path) and run make test."
        )
    _run(folder, ["apt-get", "update"], "Reading Debian's package lists")
    _run(folder, ["apt-get", "install", "-y", "--no-install-recommends", "chromium"], "Installing Chromium")


def sentence_for(step: str, log_text: str, log: Path) -> str:
    """What the person in front of a failed step should do."""
    if "DO NOT MATCH THE HASHES" in log_text:
        return (
            "A downloaded package is not the one that the lock file names (checksum differs): check the "
            f"registry that pip is set to use, then run make again; details are in {log}."
        )
    if "No space left on device" in log_text:
        return "The disk is full: make about 8 GB of room and run make again."
    if any(mark in log_text for mark in NETWORK_MARKS):
        return (
            "The package registry cannot be reached, and the first installation needs it: connect "
            f"this machine to the network or set pip's registry and proxy, then run make again; see {log}."
        )
    return f"{step} failed: read {log}, mend what it names and run make again."


def _answers(python: Path) -> bool:
    probe = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    try:
        return subprocess.run([python, "-c", probe], check=False, capture_output=True).returncode == 0  # noqa: S603
    except OSError:
        return False


def _run(folder: Folder, command: Sequence[str], step: str) -> None:
    with folder.log.open("ab") as sink:
        began_at = sink.tell()
        process = subprocess.Popen(  # noqa: S603
            command, cwd=folder.root, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
        )
        try:
            _wait(process, step)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode != 0:
        with folder.log.open("rb") as source:
            source.seek(max(began_at, folder.log.stat().st_size - LOG_TAIL_BYTES))
            text = source.read().decode(errors="replace")
        raise InstallationStopped(sentence_for(step, text, folder.log))


def _wait(process: subprocess.Popen[bytes], step: str) -> None:
    terminal = sys.stderr.isatty()
    began = time.monotonic()
    interval_s = PROGRESS_INTERVAL_S if terminal else PLAIN_PROGRESS_INTERVAL_S
    said = False
    while True:
        try:
            # Whatever takes longer than two seconds is announced, with or without a terminal.
            process.wait(interval_s if said else PROGRESS_INTERVAL_S)
            break
        except subprocess.TimeoutExpired:
            elapsed_s = time.monotonic() - began
            if elapsed_s > INSTALL_TIMEOUT_S:
                raise InstallationStopped(
                    f"{step} did not end within {INSTALL_TIMEOUT_S / 60:.0f} minutes: try a faster network."
                ) from None
            said = True
            _say(f"{step} … {elapsed_s:.0f} s", terminal=terminal)
    if said:
        _say(f"{step}: {time.monotonic() - began:.0f} s", terminal=terminal)
        if terminal:
            sys.stderr.write("\n")


def _say(text: str, *, terminal: bool) -> None:
    sys.stderr.write(f"\r\x1b[K{text}" if terminal else f"{text}\n")
    sys.stderr.flush()


def main(arguments: Sequence[str], root: Path) -> int:
    parser = argparse.ArgumentParser(prog="make install", description="Sets up .venv from the lock file.")
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    parser.add_argument("--browser", action="store_true", help="also a Chromium for the browser tests")
    options = parser.parse_args(arguments)
    folder = Folder(root)
    # Two set-ups of one clone at once wait for each other.
    handle = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        install(folder, dev=options.dev)
        if options.browser:
            install_browser(folder, root=os.geteuid() == 0)
    except InstallationStopped as stopped:
        sys.stderr.write(f"{stopped}\n")
        return STOP_EXIT_CODE
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; run make again to go on.\n")
        return 130
    finally:
        os.close(handle)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[2]))
