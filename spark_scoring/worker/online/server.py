"""Lets MLflow's scoring server hand a packaged job its requests as they were sent.

Left to itself, the server parses a request by the signature before the model sees it: one value that is not of its
type fails all rows, and without types pandas changes numbers beside nulls, and texts in CSV. What was measured stands
in docs/decisions/online.md. So the function that answers a request, `invocations`, asks the job first. Other models,
and other kinds of content, are answered as ever; and where a server has no such function, the job reads what the
server has parsed.
"""

import json
import sys
from functools import wraps
from typing import Any

from .refusals import Refused

_SERVER = "mlflow.pyfunc.scoring_server"
_MARK = "_hands_over_requests"
_KINDS = {"application/json": False, "text/csv": True}


def hand_over_requests() -> None:
    """Makes the scoring server of this process, if it is one, ask a packaged job for the answers to its requests."""
    # Asked of the running server rather than imported: most processes that load a model are none.
    server = sys.modules.get(_SERVER)
    answer = getattr(server, "invocations", None)
    if answer is None or hasattr(answer, _MARK):
        return

    @wraps(answer)
    def invocations(data: Any, content_type: Any, model: Any, *more: Any, **named: Any) -> Any:
        job = getattr(getattr(model, "_model_impl", None), "answer_request", None)
        is_csv = _is_csv(content_type)
        if job is None or is_csv is None:
            return answer(data, content_type, model, *more, **named)
        content = data.encode() if isinstance(data, str) else bytes(data)
        try:
            text, status = json.dumps({"predictions": job(content, is_csv=is_csv)}, allow_nan=False), 200
        except Refused as exc:
            refusal: Any = exc  # mlflow has no types for its methods
            text, status = refusal.serialize_as_json(), refusal.get_http_status_code()
        return server.InvocationsResponse(response=text, status=status, mimetype="application/json")  # type: ignore[union-attr]

    setattr(invocations, _MARK, True)
    setattr(server, "invocations", invocations)  # noqa: B010  (a module has no such attribute for mypy)


def _is_csv(content_type: Any) -> bool | None:
    """Tells whether a content is CSV, or JSON; None for what only the server can answer, or refuse."""
    kind, *parameters = [part.strip() for part in str(content_type).lower().split(";")]
    plain = all(parameter in ("", "charset=utf-8", 'charset="utf-8"') for parameter in parameters)
    return _KINDS.get(kind) if plain else None
