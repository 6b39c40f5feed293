"""The start page and the files of the call element."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

SDK = Path(__file__).resolve().parent.parent / "sdk"


def mount(app: FastAPI) -> None:
    app.add_route("/", start_page, methods=["GET"], include_in_schema=False)
    app.mount("/sdk", StaticFiles(directory=SDK), name="sdk")


async def start_page(_request: Request) -> Response:
    return FileResponse(SDK / "start.html", media_type="text/html; charset=utf-8")
