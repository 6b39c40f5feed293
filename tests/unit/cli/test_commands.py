"""Commands as a shell sees them: exit codes, one JSON document, one sentence."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import structlog
import typer.main

from ops.cli import bench
from ops.cli.errors import STOP_EXIT_CODE
from ops.cli.main import app, run, sentence
from ops.processes import workflow_worker
from ops.settings import Settings
from ops.stack.environment import Addresses, secrets_of, settings_environment
from ops.stack.folder import LAYOUT, DataFolder, Run

ROOT = Path(__file__).resolve().parents[3]
RUN = Run(
    pid=1,
    birth=None,
    started_at="now",
    api_url="http://here",
    link="http://here/#key=k",
    temporal_address="t",
)


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


def stdout_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = run(list(arguments))
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return code, document


def sentence_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run(list(arguments))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return code, captured.err.strip()


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def test_the_command_line_starts_without_what_few_commands_need() -> None:
    heavy = ("torch", "aiortc", "av", "temporalio", "sqlalchemy", "fastapi", "numpy", "onnxruntime")
    program = f"import sys, ops.cli.main; print([name for name in {heavy} if name in sys.modules])"

    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert loaded.stdout.strip() == "[]"


def test_a_wrong_option_is_misuse() -> None:
    assert run(["demo", "--barge-in", "-1"]) == 2


@pytest.mark.parametrize("command", ["show", "events", "end"])
def test_a_wrong_id_is_one_sentence(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sentence_of(capsys, "conversation", command, "not-an-id") == (
        STOP_EXIT_CODE,
        "“not-an-id” is no conversation's id: see `vivavoce conversation list`.",
    )


def test_status_of_a_folder_where_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = stdout_of(capsys, "status", "--json", "--data", str(tmp_path / "new"))

    assert code == 1
    assert document["running"] is False
    assert not (tmp_path / "new").exists()


def test_a_second_stack_in_a_folder_says_that_one_is_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = DataFolder(tmp_path)
    folder.open(product_version="1")
    with folder.hold():
        folder.write_run(RUN)

        code, said = sentence_of(capsys, "up", "--data", str(tmp_path))
        _, status = stdout_of(capsys, "status", "--json", "--data", str(tmp_path))

    assert code == STOP_EXIT_CODE
    assert "is running in" in said
    assert "http://here" in said
    assert (status["running"], status["ready"]) == (True, False)
    assert "key" not in json.dumps(status)


def test_a_port_in_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        code, said = sentence_of(capsys, "up", "--data", str(tmp_path), "--port", str(port))

    assert code == STOP_EXIT_CODE
    assert said.startswith(f"Port {port} on 127.0.0.1 cannot be used")
    assert said.count("\n") == 0
    assert not (tmp_path / "run.json").exists()


def test_a_missing_model_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

    code, said = sentence_of(
        capsys, "up", "--data", str(tmp_path), "--port", str(port), "--models", str(tmp_path / "none")
    )

    assert code == STOP_EXIT_CODE
    assert "run `vivavoce models fetch`" in said


def test_a_folder_of_another_form_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "version.json").write_text(f'{{"layout": {LAYOUT + 1}, "made_by": "9.0"}}')

    code, said = sentence_of(capsys, "conversation", "list", "--json", "--data", str(tmp_path))

    assert code == STOP_EXIT_CODE
    assert "made by Vivavoce 9.0" in said
    assert not (tmp_path / "postgres").exists()


def test_models_that_are_not_there_are_listed_as_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = stdout_of(capsys, "models", "list", "--json", "--models", str(tmp_path))

    assert code == 1
    assert {row["state"] for row in document["models"] if row["package"] != "hibari-tts"} == {"missing"}


def test_a_recording_that_is_not_there_fails_the_demo_with_the_whole_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = stdout_of(capsys, "demo", "--json", "--audio", str(tmp_path / "none.wav"))

    assert code == 1
    assert document["status"] == "failed"
    assert "There is no file" in document["error"]
    assert set(document) == {
        *("conversation_id", "status", "transcript", "events", "latency_ms"),
        *("stages_ms", "video", "saved", "error"),
    }


def test_ending_a_conversation_needs_the_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = sentence_of(
        capsys, "conversation", "end", "0b6f5a1c-52f0-4f0a-8d0e-6f1f6f0a7d11", "--data", str(tmp_path)
    )

    assert code == STOP_EXIT_CODE
    assert "start it with `vivavoce up`" in said


@pytest.mark.parametrize(("status", "ending"), [("live", True), ("wrapping_up", False), ("sealed", False)])
def test_ending_says_whether_there_was_something_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: str, ending: bool
) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"status": status}).encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            pass

    # Given an API that knows a conversation
    folder = DataFolder(tmp_path)
    folder.open(product_version="1")
    with HTTPServer(("127.0.0.1", 0), Answers) as server, folder.hold():
        folder.write_run(RUN.model_copy(update={"api_url": f"http://127.0.0.1:{server.server_port}"}))
        Thread(target=server.serve_forever, daemon=True).start()

        # When somebody ends it
        code, document = stdout_of(
            capsys,
            *("conversation", "end", "0b6f5a1c-52f0-4f0a-8d0e-6f1f6f0a7d11"),
            *("--json", "--data", str(tmp_path)),
        )
        server.shutdown()

    # Then the answer is what was true before
    assert (code, document["ending"]) == (0, ending)


def test_a_process_names_the_settings_that_it_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VIVAVOCE_DATABASE_URL", raising=False)

    code, said = sentence_of(capsys, "process", "workflows")

    assert code == STOP_EXIT_CODE
    assert "VIVAVOCE_DATABASE_URL" in said


def test_stopping_what_does_not_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sentence_of(capsys, "down", "--data", str(tmp_path)) == (0, f"Nothing is running in {tmp_path}.")


def test_secrets_are_made_once_and_only_for_the_owner(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)

    first, second = secrets_of(folder), secrets_of(folder)

    assert first == second
    assert folder.secrets.stat().st_mode & 0o777 == 0o600


def test_the_processes_get_every_setting_that_has_no_default(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    addresses = Addresses("postgresql://x", "127.0.0.1:7233", "0.0.0.0", 8460, 9000)
    environment = settings_environment(folder, secrets_of(folder), addresses, tmp_path)

    required = [name for name, field in Settings.model_fields.items() if field.is_required()]
    assert {f"VIVAVOCE_{name.upper()}" for name in required} <= set(environment)
    assert environment["VIVAVOCE_PUBLIC_URL"] == "http://127.0.0.1:8460"


def test_the_processor_is_named(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name\t: Some CPU\n")

    assert bench.cpu_model(info) == "Some CPU"
    assert bench.cpu_model(tmp_path / "none") != ""


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        *(("no room", "No room."), ("Run it.", "Run it."), ("", "ValueError."), ("stop.", "Stop.")),
        ("greeting: is missing", "greeting: is missing."),
        ("system_prompt is too long", "system_prompt is too long."),
        ("desk/persona.yaml cannot be read", "desk/persona.yaml cannot be read."),
    ],
)
def test_errors_become_sentences(text: str, whole: str) -> None:
    assert sentence(ValueError(text)) == whole


@pytest.fixture
def own_logs() -> Iterator[None]:
    """A process sets its logs up for itself; the tests after it have theirs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("own_logs")
def test_a_process_that_fails_without_a_name_says_where_and_never_what(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Given a process whose error quotes somebody
    async def fails(_: object) -> None:
        raise KeyError("Odalys Brimwick")

    monkeypatch.setattr(workflow_worker, "run", fails)
    for name in ("DATABASE_URL", "TEMPORAL_ADDRESS", "PAYLOAD_KEY", "CONTROL_SECRET"):
        monkeypatch.setenv(f"VIVAVOCE_{name}", "given")
    for name in ("MODELS_DIR", "RECORDINGS_DIR"):
        monkeypatch.setenv(f"VIVAVOCE_{name}", str(tmp_path))

    # When it runs, then it ends with code 1, and the log has the error's type and place
    assert run(["process", "workflows"]) == 1
    shown = capsys.readouterr()
    assert "process.failed" in shown.out + shown.err
    assert "KeyError" in shown.out + shown.err
    assert "Odalys" not in shown.out + shown.err
