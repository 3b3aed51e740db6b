"""`/v1/models`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.vendor.state import State
from tests.vendor.wire import RefusedError


async def list_all(request: Request) -> Response:
    """GET /v1/models"""
    state: State = request.app.state.vendor
    with state.lock:
        return JSONResponse({"object": "list", "data": list(state.models.values())})


async def retrieve(request: Request) -> Response:
    """GET /v1/models/{id}"""
    state: State = request.app.state.vendor
    name = request.path_params["id"]
    with state.lock:
        if name not in state.models:
            message = f"The model '{name}' does not exist or you do not have access to it."
            raise RefusedError(404, message, code="model_not_found", param="model")
        return JSONResponse(state.models[name])
