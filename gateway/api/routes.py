"""The one table of routes. The server adds them, the authentication reads who needs no key, and the OpenAPI document describes each."""

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.api.admin_routes import ADMIN_ROUTES
from gateway.api.body import BODY_BYTES_MAX
from gateway.api.call import EDIT_BYTES_MAX, GENERATION_BYTES_MAX
from gateway.api.console_routes import CONSOLE_ROUTES
from gateway.api.handlers import (
    credits,
    evolink_files,
    files,
    health,
    images,
    metrics,
    models,
    openapi,
    playground,
    quote,
    results,
    tasks,
)
from gateway.api.route import Route
from gateway.api.schemas.admin_accounts import AccountAnswer
from gateway.api.schemas.answers import (
    CreditsAnswer,
    HealthAnswer,
    ImagesAnswer,
    ModelAnswer,
    ModelListAnswer,
    ReadinessAnswer,
    TaskAnswer,
    TaskBatchAnswer,
    TaskBatchBody,
    TaskCreated,
    TaskListAnswer,
)
from gateway.api.schemas.edit import EditBody, EditForm, VariationBody, VariationForm
from gateway.api.schemas.files import (
    EvolinkBase64Body,
    EvolinkFileAnswer,
    EvolinkFileForm,
    EvolinkUrlBody,
    FileAnswer,
    FileDeletedAnswer,
    FileForm,
    FileListAnswer,
)
from gateway.api.schemas.generation import GenerationBody
from gateway.api.schemas.playground import ModelCardListAnswer, TokensAnswer, TokensBody
from gateway.api.schemas.quote import QuoteAnswer
from gateway.domain.administrators import Scope

_MADE = ((200, (ImagesAnswer, TaskCreated, TaskAnswer)), (202, (TaskCreated, TaskAnswer)))
_GENERATION_ERRORS = (400, 402, 403, 404, 408, 409, 413, 429, 502, 503, 504)
_UPLOAD_ERRORS = (400, 402, 408, 413, 503)
_FILES = (
    ("limit", "integer", "1 to 10000; at most 100 come at once."),
    ("after", "string", "The last id of the page before."),
    ("order", "string", "desc"),
    ("purpose", "string", "vision"),
)
_PAGES = (
    ("status", "string", "Only tasks in this state."),
    ("model", "string", "Only tasks of this model."),
    ("page", "integer", "From 1."),
    ("page_size", "integer", "1 to 100, 20 where absent."),
)
_WAIT = (
    (
        "wait",
        "integer",
        "Answer when the task has ended, at most so many seconds later: 0 to 300, at once where absent.",
    ),
)
_PAID_HEADERS: tuple[tuple[str, Mapping[str, str | int], str], ...] = (
    ("Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
     "The same body with the same key is answered with the same task for 24 hours; another body with 409."),
    ("X-Gateway-Retry", {"type": "string", "const": "new"}, "An SDK's own retry makes a call of its own and takes up no earlier task."),
)  # fmt: skip

_AZURE = tuple(
    Route("POST", f"{base}/images/{name}", handler, f"{summary}, as Azure OpenAI's clients ask for it", _MADE, _GENERATION_ERRORS, body, form, limit,
          headers=_PAID_HEADERS, query=(("api-version", "string", "Means nothing."),))
    for base in ("/openai/deployments/{deployment}", "/openai/v1")
    for name, handler, summary, body, form, limit in (
        ("generations", images.generations, "Make pictures from a prompt", GenerationBody, None, GENERATION_BYTES_MAX),
        ("edits", images.edits, "Make pictures from pictures", EditBody, EditForm, EDIT_BYTES_MAX),
    )
)  # fmt: skip
"""Classic: the deployment is the model, whatever the body says. v1: as at /v1. https://learn.microsoft.com/azure/ai-foundry/openai/reference"""

ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/images/generations", images.generations, "Make pictures from a prompt",
          _MADE, _GENERATION_ERRORS, GenerationBody, body_bytes_max=GENERATION_BYTES_MAX, headers=_PAID_HEADERS),
    Route("POST", "/v1/images/quote", quote.create, "What a call would cost, hold and be answered",
          ((200, (QuoteAnswer,)),), (400, 402, 403, 404, 408, 413, 429, 503), GenerationBody, EditForm, EDIT_BYTES_MAX),
    Route("POST", "/v1/images/edits", images.edits, "Make pictures from pictures",
          _MADE, _GENERATION_ERRORS, EditBody, EditForm, EDIT_BYTES_MAX, headers=_PAID_HEADERS),
    Route("POST", "/v1/images/variations", images.variations, "Vary a picture, where an offer can",
          _MADE, _GENERATION_ERRORS, VariationBody, VariationForm, EDIT_BYTES_MAX, headers=_PAID_HEADERS),
    *_AZURE,
    Route("POST", "/v1/files", files.create, "Keep a picture for calls", ((200, (FileAnswer,)),), _UPLOAD_ERRORS, form=FileForm,
          body_bytes_max=files.UPLOAD_BYTES_MAX),
    Route("GET", "/v1/files", files.index, "List this key's files, newest first", ((200, (FileListAnswer,)),), (400, 404, 503), query=_FILES),
    Route("GET", "/v1/files/{file_id}", files.get, "Look a file up", ((200, (FileAnswer,)),), (404, 503)),
    Route("GET", "/v1/files/{file_id}/content", files.content, "A file's picture", ((200, "image/*"),), (404, 503)),
    Route("DELETE", "/v1/files/{file_id}", files.delete, "Delete a file", ((200, (FileDeletedAnswer,)),), (404, 413, 503)),
    Route("POST", "/api/v1/files/upload/base64", evolink_files.base64, "EvoLink: keep a picture from base64",
          ((200, (EvolinkFileAnswer,)),), _UPLOAD_ERRORS, EvolinkBase64Body, body_bytes_max=evolink_files.BASE64_BYTES_MAX),
    Route("POST", "/api/v1/files/upload/stream", evolink_files.stream, "EvoLink: keep a picture from a form",
          ((200, (EvolinkFileAnswer,)),), _UPLOAD_ERRORS, form=EvolinkFileForm, body_bytes_max=files.UPLOAD_BYTES_MAX),
    Route("POST", "/api/v1/files/upload/url", evolink_files.url, "EvoLink: keep a picture from a URL",
          ((200, (EvolinkFileAnswer,)),), _UPLOAD_ERRORS, EvolinkUrlBody),
    Route("GET", "/v1/tasks", tasks.index, "List this key's tasks, newest first", ((200, (TaskListAnswer,)),), (400, 503), query=_PAGES),
    Route("POST", "/v1/tasks/batch", tasks.batch, "Query up to 50 tasks",
          ((200, (TaskBatchAnswer,)),), (400, 408, 413, 503), TaskBatchBody),
    Route("GET", "/v1/tasks/{task_id}", tasks.get, "Query a task, or wait for its end",
          ((200, (TaskAnswer,)),), (400, 404, 429, 503), query=_WAIT),
    Route("DELETE", "/v1/tasks/{task_id}", tasks.erase, "Erase an ended task's prompt and pictures; what it cost stays",
          ((200, (TaskAnswer,)),), (400, 404, 409, 413, 503)),
    Route("POST", "/v1/tasks/{task_id}/cancel", tasks.cancel, "Cancel a task", ((200, (TaskAnswer,)),), (400, 404, 409, 413, 503)),
    Route("GET", "/v1/models", models.index, "List the models that this key may use", ((200, (ModelListAnswer,)),)),
    Route("GET", "/v1/models/{model}", models.get, "Look a model up", ((200, (ModelAnswer,)),), (403, 404)),
    Route("GET", "/v1/credits", credits.get, "What is left and used", ((200, (CreditsAnswer,)),), (503,)),
    Route("GET", "/console/api/models", playground.models, "What the playground shows of each model that this key may use",
          ((200, (ModelCardListAnswer,)),)),
    Route("POST", "/console/api/tokens", playground.tokens, "How many tokens a prompt has",
          ((200, (TokensAnswer,)),), (400, 403, 404, 408, 413), TokensBody),
    Route("GET", "/console/api/account", playground.account, "This key's own account: budgets, what is used and held",
          ((200, (AccountAnswer,)),), (503,)),
    Route("GET", "/v1/results/{token}/{file}", results.get, "A picture behind a signed link",
          ((200, "image/*"), (206, "image/*"), (304, ""), (416, "")), (404, 503), public=True),
    Route("HEAD", "/v1/results/{token}/{file}", results.get, "The same without the picture", ((200, ""), (304, "")), (404, 503), public=True),
    Route("GET", "/healthz", health.alive, "Whether the process is alive", ((200, (HealthAnswer,)),), public=True),
    Route("GET", "/readyz", health.ready, "Whether the process may receive traffic",
          ((200, (ReadinessAnswer,)), (503, (ReadinessAnswer,))), public=True),
    Route("GET", "/metrics", metrics.get, "Prometheus metrics, for this machine unless made public", ((200, "text/plain"),), (404,), public=True),
    Route("GET", "/openapi.json", openapi.document, "This document", ((200, "application/json"),), public=True),
    Route("GET", "/docs", openapi.page, "This document as a page", ((200, "text/html"),), public=True),
    *CONSOLE_ROUTES,
    *ADMIN_ROUTES,
)  # fmt: skip

_PATTERNS = {
    "{model}": "{model:.+}",
    "{deployment}": "{deployment:.+}",
    "{task_id}": "{task_id:(?!batch$)[^/]+}",
    "{path}": "{path:.*}",
}
"""Names of models may have slashes; `batch` is no task, so that asking for it with GET is 405 and not a malformed id."""


def add_routes(app: web.Application) -> None:
    for route in ROUTES:
        path = route.path
        for plain, pattern in _PATTERNS.items():
            path = path.replace(plain, pattern)
        app.router.add_route(route.method, path, route.handler)


def admin_handlers() -> dict[Handler, Scope]:
    """With the scope that each needs."""
    return {route.handler: route.scope for route in ROUTES if route.scope is not None}


def body_limits() -> dict[Handler, int]:
    """Of the handlers whose bodies may be larger than others."""
    return {route.handler: route.body_bytes_max for route in ROUTES if route.body_bytes_max != BODY_BYTES_MAX}


def public_handlers() -> frozenset[Handler]:
    return frozenset(route.handler for route in ROUTES if route.public)
