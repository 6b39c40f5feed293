"""The whole product as a user starts it: `vivavoce up` in a folder, and the other commands beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ops.stack.child import birth

ROOT = Path(__file__).resolve().parents[1]
# A cold start beside other work; the figure for a machine at rest is in the README.
START_WITHIN_S = 240.0
STOP_WITHIN_S = 120.0
COMMAND_WITHIN_S = 120.0


def vivavoce(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ops.cli.main", *arguments]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        vivavoce(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=COMMAND_WITHIN_S
    )


def document(*arguments: str) -> dict[str, Any]:
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def until(condition: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def processes_of(folder: Path) -> dict[int, str]:
    """Every process on this machine that was started for the folder, by what it was started with."""
    found: dict[int, str] = {}
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            line = (proc / "cmdline").read_bytes() + b" " + (proc / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line and birth(int(proc.name)) is not None:
            found[int(proc.name)] = line.replace(b"\0", b" ").decode(errors="replace")[:200]
    found.pop(os.getpid(), None)
    return found


@contextmanager
def stack(
    folder: Path, port: int, inside: Sequence[str] = (), **settings: object
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`vivavoce up`, and the link that it prints. Settings are those of `ops/settings.py`; `inside` is a
    command that runs it. All that it prints is in the file `output_of` names, and is shown when it ends."""
    output = output_of(folder)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w") as sink:
        process = subprocess.Popen(
            [*inside, *vivavoce("up", "--data", str(folder), "--port", str(port))],
            cwd=ROOT,
            stdout=sink,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                **{f"VIVAVOCE_{name.upper()}": str(value) for name, value in settings.items()},
            },
        )
    try:
        link: re.Match[str] | None = None
        deadline = time.monotonic() + START_WITHIN_S
        while link is None and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            link = re.search(r"http://\S+#key=\S+(?=\n)", output.read_text())
        yield process, link.group() if link else ""
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(STOP_WITHIN_S)
        print(output.read_text())  # noqa: T201 - pytest shows it beside a failure


def output_of(folder: Path) -> Path:
    """Beside the data folder, so that the product finds in it what it put there."""
    return folder.with_name(f"{folder.name}.output")


def restarted(status: dict[str, Any], name: str) -> bool:
    [found] = [each for each in status["processes"] if each["name"] == name]
    return bool(found["restarts"] >= 1 and found["alive"])


@dataclass(frozen=True)
class RunningStack:
    """One that answers. `link` is what `up` printed."""

    process: subprocess.Popen[str]
    folder: Path
    link: str

    @property
    def output(self) -> str:
        """What `up` has printed, on both streams."""
        return output_of(self.folder).read_text()

    @property
    def data(self) -> tuple[str, str]:
        return "--data", str(self.folder)

    def ask(self, *arguments: str) -> dict[str, Any]:
        """A command's one JSON document."""
        return document(*arguments, *self.data)

    def events(self, conversation_id: str) -> list[dict[str, Any]]:
        found = self.ask("conversation", "events", conversation_id)["events"]
        assert [event["version"] for event in found] == list(range(1, len(found) + 1))
        return list(found)

    def kill(self, name: str) -> None:
        """SIGKILL of one process; the supervisor starts it again."""
        [child] = [each for each in self.ask("status")["processes"] if each["name"] == name]
        os.kill(child["pid"], signal.SIGKILL)

    def answers(self) -> bool:
        """Whether the API does, and has all that it needs."""
        try:
            return httpx.get(self.link.split("/#")[0] + "/v1/health/ready", timeout=10).is_success
        except httpx.TransportError:
            return False

    def call(self, *arguments: str) -> subprocess.Popen[str]:
        """`vivavoce demo`, under way."""
        return subprocess.Popen(
            vivavoce("demo", *self.data, "--json", *arguments),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def newest(self) -> str:
        """The conversation that was requested last."""
        found: list[dict[str, Any]] = self.ask("conversation", "list")["conversations"]
        return str(found[0]["conversation_id"])

    def until_event(self, event_type: str, *, within_s: float = 90) -> str:
        """Waits until the newest conversation holds such an event, and names it."""
        found = ""

        def there() -> bool:
            nonlocal found
            conversations = self.ask("conversation", "list")["conversations"]
            if not conversations or conversations[0]["status"] == "sealed":
                return False
            found = str(conversations[0]["conversation_id"])
            return any(event["type"] == event_type for event in self.events(found))

        until(there, within_s=within_s)
        return found


def finished(call: subprocess.Popen[str], *, within_s: float = 180) -> dict[str, Any]:
    """The document of a call that ends well."""
    out, err = call.communicate(timeout=within_s)
    assert call.returncode == 0, f"{out}\n{err}"
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def payloads(events: list[dict[str, Any]], event_type: str) -> list[dict[str, Any]]:
    return [event["payload"] for event in events if event["type"] == event_type]
