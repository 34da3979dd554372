"""What is measured: the gateway's config, the call that is sent, and the addresses of everything."""

from pathlib import Path

import orjson

KEY_SECRET = "bench-key-0123456789"
AUTHORIZATION = f"Bearer {KEY_SECRET}"
PATH = "/v1/images/generations"
BODY = orjson.dumps(
    {
        "model": "gpt-image-2",
        "prompt": "A watercolour of a lighthouse on a cliff at dawn, gulls above the surf, in the manner of a travel diary.",
        "size": "1024x1024",
        "quality": "low",
        "n": 1,
    }
).decode()

# Budgets on all three levels, so that every call is checked against each; concurrency above the largest number of calls held open, and not by
# much: the gateway keeps open files aside for as many upstream connections.
_CONFIG = """\
server: {{host: 127.0.0.1, port: {port}, drain: 10s}}
secret_key: bench-secret-key-0123456789-0123456789
database: {database}
blobs: file:///{folder}/images
cache: {{enabled: {cached}}}
upstreams:
  openai: {{kind: openai, base_url: "{upstream}", api_key: bench, concurrency: 4096}}
models:
  gpt-image-2:
    prompt_tokens_max: 32000
    sizes: [1024x1024]
    n: {{max: 10}}
    offers:
      - {{upstream: openai, model: gpt-image-2, cost: {{formula: gpt-image-2}}}}
accounts:
  - org: bench
    budgets: [100000000usd/total]
    teams:
      - team: load
        budgets: [100000000usd/total]
        keys:
          - {{name: generator, secret: {secret}, budgets: [100000000usd/total], response: image}}
"""


def write_config(folder: Path, *, database: str | None, port: int, upstream: str, cached: bool = False) -> Path:
    """A gateway's config in a folder of its own; without a database URL, SQLite in that folder. `cached`: equal calls are made once."""
    folder.mkdir(parents=True, exist_ok=True)
    database = database or f"sqlite:///{folder}/gateway.db"
    file = folder / "gateway.yaml"
    file.write_text(
        _CONFIG.format(
            port=port,
            database=database,
            folder=folder,
            upstream=upstream,
            secret=KEY_SECRET,
            cached=str(cached).lower(),
        )
    )
    return file
