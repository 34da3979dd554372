"""One call with the official `openai` client's own defaults, as a program for any of its versions: says whether a picture came, and by a replay.

Run as `python openai_cut_call.py BASE_URL KEY`; it must not import anything but the client and the standard library.
"""

import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2])
raw = client.images.with_raw_response.generate(model="gpt-image-2", prompt="a red fox in fresh snow", size="1024x1024")
picture = bool((raw.parse().data or [])[0].b64_json)
found = {"picture": picture, "replayed": raw.headers.get("idempotency-replayed")}
sys.stdout.write(json.dumps(found) + "\n")  # noqa: TID251 - runs in an environment without orjson
