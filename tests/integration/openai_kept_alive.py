"""What the official `openai` client makes of answers with white space before them, as a program for any of its versions.

Run as `python openai_kept_alive.py BASE_URL KEY`: the first call is made, the second one fails late. It prints one JSON line, and must not import
anything but the client and the standard library.
"""

import json
import sys

import openai


def main() -> None:
    base_url, key = sys.argv[1:]
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, _strict_response_validation=True)
    raw = client.images.with_raw_response.generate(model="gpt-image-2", prompt="a red fox", quality="low")
    made = raw.parse().data
    failed, raised = None, None
    try:
        loose = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
        failed = loose.images.generate(model="gpt-image-2", prompt="a red fox", quality="low").data
    except openai.OpenAIError as exc:
        raised = repr(exc)
    found = {"made": len(made or []), "signs": raw.content.startswith(b" "), "failed": failed, "raised": raised}
    sys.stdout.write(json.dumps(found) + "\n")  # noqa: TID251 - runs in an environment without orjson


if __name__ == "__main__":
    main()
