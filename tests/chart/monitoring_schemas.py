"""The kinds of the Prometheus operator that the chart makes, as JSON schemas: the fields of monitoring.coreos.com/v1 that are of use here, no others.

Source: the operator's API reference (https://prometheus-operator.dev/docs/api-reference/api/). Kubernetes' own schemas do not have them.
"""

from typing import Any

_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _kind(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = _closed(
        ["name"], name={"type": "string"}, namespace={"type": "string"}, labels=_TEXTS, annotations=_TEXTS
    )
    return _closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "monitoring.coreos.com/v1"}, kind={"const": kind}, metadata=metadata, spec=spec,
    )  # fmt: skip


_ENDPOINT = _closed(
    ["port"],
    port={"type": "string"}, path={"type": "string", "pattern": "^/"}, interval=_DURATION, scrapeTimeout=_DURATION,
    scheme={"enum": ["http", "https"]},
)  # fmt: skip
_NAMES = {"type": "array", "items": {"type": "string"}}
_RULE = _closed(
    ["expr"],
    alert={"type": "string"}, record={"type": "string"}, expr={"type": ["string", "integer"]}, keep_firing_for=_DURATION, labels=_TEXTS,
    annotations=_TEXTS, **{"for": _DURATION},
)  # fmt: skip
_GROUP = _closed(
    ["name", "rules"],
    name={"type": "string"}, interval=_DURATION, limit={"type": "integer"}, labels=_TEXTS, rules={"type": "array", "items": _RULE},
)  # fmt: skip

SCHEMAS = {
    "ServiceMonitor": _kind(
        "ServiceMonitor",
        _closed(
            ["selector", "endpoints"],
            selector=_closed([], matchLabels=_TEXTS),
            namespaceSelector=_closed([], any={"type": "boolean"}, matchNames=_NAMES),
            endpoints={"type": "array", "items": _ENDPOINT, "minItems": 1},
            jobLabel={"type": "string"},
        ),
    ),
    "PrometheusRule": _kind("PrometheusRule", _closed(["groups"], groups={"type": "array", "items": _GROUP})),
}
