"""Official `openai` clients of several major versions, each in a process and an environment of its own, against one gateway."""

import asyncio
from pathlib import Path

import orjson

from tests.emulators.evolink import EvolinkEmulator
from tests.emulators.openai import OpenAIEmulator
from tests.integration.gateway_app import (
    KEY,
    OTHER_KEY,
    accounts,
    evolink_upstream,
    list_of,
    openai_upstream,
    serving,
    write_config,
)

PROGRAM = Path(__file__).with_name("openai_calls.py")
# Exception, status, code, and a word that helps.
ERRORS = {
    "wrong key": ("AuthenticationError", 401, "invalid_api_key", "key"),
    "unknown model": ("NotFoundError", 404, "model_not_found", "gpt-image-2"),
    "blank prompt": ("BadRequestError", 400, "invalid_parameter", "prompt"),
    "2001 tokens": ("BadRequestError", 400, "prompt_too_long", "2000 tokens"),
    "n of 3": ("BadRequestError", 400, "invalid_parameter", "1, 2, 4"),
    "no credits": ("RateLimitError", 429, "insufficient_quota", "0credits/total"),
}
PICTURES = {
    "neither": [([1024, 1024], True)],
    "b64_json": [([1024, 1024], False)],
    "url": [(None, True)],
    "two": [([1024, 1024], True), ([1024, 1024], True)],
    "old name": [([1536, 1024], True)],
    "task model": [([1024, 1024], True)],
}


async def test_every_version_of_the_client_gets_what_it_understands(
    client_python: Path,
    sqlite_database: str,
    tmp_path: Path,
    openai_emulator: OpenAIEmulator,
    evolink_emulator: EvolinkEmulator,
) -> None:
    """Pictures as bytes, links or both; each refusal as its documented exception, with code and a helpful text; nothing is tried twice."""
    emulators = {"openai": openai_emulator, "evolink": evolink_emulator}
    upstreams = {"openai": openai_upstream(openai_emulator), "evolink": evolink_upstream(evolink_emulator)}
    config = write_config(tmp_path, sqlite_database, upstreams, accounts=accounts("0credits/total"))
    async with serving(config, emulators) as house:
        process = await asyncio.create_subprocess_exec(
            str(client_python), "-I", str(PROGRAM), house.base_url, OTHER_KEY, KEY,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        printed, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        outcomes: dict[str, dict[str, object]] = orjson.loads(printed)
        for name, expected in PICTURES.items():
            items = list_of(outcomes[name], "answer")
            assert [(item["pixels"], item["url"] is not None) for item in items] == expected, name
        link = str(list_of(outcomes["url"], "answer")[0]["url"])
        assert (await house.get(link, key=None)).body.startswith(b"\x89PNG")
        requests = await house.metric("gateway_http_requests_total", route="/v1/images/generations")
    for name, (kind, status, code, word) in ERRORS.items():
        outcome = outcomes[name]
        assert (outcome["error"], outcome["status"], outcome["code"]) == (kind, status, code), name
        assert word in str(outcome["text"]), name
    assert outcomes["dropped"]["answer"] == "seed"
    models = outcomes["models"]["answer"]
    assert isinstance(models, list)
    assert {"gpt-image-2", "gpt-4o-image", "dall-e-3"} <= set(models)
    assert requests == len(outcomes) - 1, "one request a call, and none of them again"
