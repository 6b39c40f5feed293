"""The application: routes, pages, errors and edge, over one set of services."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from ops.api import conversations, edge, health, pages, participants, personas, problem
from ops.api.description import describe
from ops.api.services import Services

OPENAPI_PATH = "/v1/openapi.json"


def create_app(services: Services) -> FastAPI:
    """Nothing is opened or started here; `services` are open already, and whoever made them closes them."""
    app = FastAPI(
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(edge.AccessLog),
            Middleware(edge.ProtectiveHeaders),
            Middleware(edge.OtherOrigins),
            Middleware(edge.RequestLimit),
            Middleware(edge.BodyLimit),
            Middleware(edge.LastResort),
        ],
    )
    app.state.services = services
    problem.install(app)
    for module in (personas, conversations, participants, health):
        app.include_router(module.router)
    pages.mount(app)

    def description() -> dict[str, Any]:
        return describe(app)

    app.openapi = description  # type: ignore[method-assign]
    return app
