"""The Grafana dashboard that the chart brings, rendered from dashboard_rows.py: `python -m charts.dashboard` writes it.

Pure but for that command; the same panels always render the same file.
"""

import json
from pathlib import Path

from charts.dashboard_rows import ROWS, Panel, Row

FILE = Path(__file__).parent / "image-gateway/files/dashboard.json"
SELECTOR = 'job=~"$job"'
WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def render() -> str:
    """The file's text."""
    panels: list[dict[str, object]] = []
    y = 0
    for row in ROWS:
        panels.append(_row(row, len(panels) + 1, y))
        y += 1
        x, height = 0, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y, height = 0, y + height, 0
            high = 4 if panel.kind == "stat" else 8
            panels.append(_panel(panel, len(panels) + 1, {"x": x, "y": y, "w": panel.width, "h": high}))
            x, height = x + panel.width, max(height, high)
        y += height
    return json.dumps(_whole(panels), indent=1, ensure_ascii=False) + "\n"  # noqa: TID251 - a file for people to read


def _whole(panels: list[dict[str, object]]) -> dict[str, object]:
    return {
        "uid": "image-gateway",
        "title": "Image gateway",
        "description": "What the gateway spends, saves and owes, how its upstreams are, and how it is itself.",
        "tags": ["image-gateway"],
        "schemaVersion": 38,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": [_source_variable(), _job_variable()]},
        "panels": panels,
    }


def _source_variable() -> dict[str, object]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _job_variable() -> dict[str, object]:
    query = "label_values(gateway_build_info, job)"
    return {
        "name": "job", "label": "Gateway", "type": "query", "datasource": SOURCE, "definition": query, "refresh": 2, "sort": 1,
        "query": {"query": query, "refId": "job"}, "multi": True, "includeAll": True, "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }  # fmt: skip


def _row(row: Row, number: int, y: int) -> dict[str, object]:
    place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, object]:
    steps: list[dict[str, object]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    defaults: dict[str, object] = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        defaults["custom"] = {"fillOpacity": 30 if panel.stacked else 0, "stacking": stacking, "showPoints": "never"}
    return {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.about, "gridPos": place, "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query.replace("$s", SELECTOR),
                "legendFormat": legend or "__auto", "instant": panel.kind != "timeseries", "range": panel.kind == "timeseries",
            }
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip


def _options(panel: Panel) -> dict[str, object]:
    latest = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "stat":
        return {"reduceOptions": latest, "colorMode": "value", "graphMode": "none", "textMode": "auto"}
    if panel.kind == "bargauge":
        return {"reduceOptions": latest, "orientation": "horizontal", "displayMode": "gradient", "showUnfilled": True}
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
