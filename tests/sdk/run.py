"""The child: makes the calls of one vendor's module (`fal_calls`, …) with the vendor's own SDK, and prints what came of each as one JSON object.

Runs in the environment of `requirements/client-vendors.txt`, which has neither pytest nor the gateway. An exception of the SDK is an outcome; one
of this program ends it.
"""

import importlib
import json
import sys
from collections.abc import Callable, Mapping


def outcome(call: Callable[[], object]) -> dict[str, object]:
    """`{"answer": …}`, or `{"error": class, "status", "text"}`."""
    try:
        return {"answer": call()}
    except Exception as exc:  # noqa: BLE001 - which exceptions the SDK raises is what is asked
        numbers = (getattr(exc, name, None) for name in ("status_code", "code", "status"))
        status = next((number for number in numbers if isinstance(number, int)), None)
        return {"error": type(exc).__name__, "status": status, "text": str(exc)[:500]}


def main() -> None:
    """`run.py VENDOR BASE_URL API_KEY`."""
    vendor, base_url, api_key = sys.argv[1:]
    made: Mapping[str, Callable[[], object]] = importlib.import_module(f"{vendor}_calls").calls(base_url, api_key)
    outcomes = {name: outcome(call) for name, call in made.items()}
    sys.stdout.write(json.dumps(outcomes))  # noqa: TID251 - this environment has no orjson


if __name__ == "__main__":
    main()
