"""Where a Chromium is, and how it is started for calls."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

CANDIDATES = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
MICROPHONE_ALLOWED = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
MICROPHONE_REFUSED = ["--deny-permission-prompts", "--use-fake-device-for-media-stream"]
MICROPHONE_ABSENT = ["--use-fake-ui-for-media-stream"]


def chromium_path() -> str:
    """Skips the test where there is none, and says what to install."""
    for candidate in CANDIDATES:
        found = shutil.which(candidate)
        if found and Path(found).exists():
            return found
    pytest.skip("no Chromium was found: install Debian's package with `apt-get install chromium`")
