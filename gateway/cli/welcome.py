"""What a newcomer sees at the start: where the gateway serves, with which key, and two calls to paste."""

import shlex
from typing import TYPE_CHECKING

from gateway.app_console import console_line
from gateway.config import Config

if TYPE_CHECKING:
    from gateway.app_office import FirstSecrets


def welcome(config: Config, first: "FirstSecrets") -> str:
    """The text, for the terminal. Of later starts it says only where the secrets are."""
    base_url = f"{config.server.public_url}/v1"
    lines = [f"Image gateway serves at {base_url}", *(f"  {line}" for line in config.summary())]
    console = console_line(config)
    lines += [] if console is None else [console]
    if first.key is None:
        return "\n".join(lines)
    key_path, secret = (
        first.key.path.absolute(),
        first.key.secret,
    )  # the snippets are pasted into another terminal, in whatever folder that is
    if secret is not None:
        lines += ["", f"API key (shown once, kept in {key_path}):", f"  {secret}"]
    else:
        lines += ["", f"The API key of the first start is in {key_path}."]
    if first.admin_token is not None and first.admin_token.secret is not None:
        lines += [
            f"Admin token for /admin/v1 (shown once, kept in {first.admin_token.path.absolute()}):",
            f"  {first.admin_token.secret}",
        ]
    elif first.admin_token is not None:
        lines += [f"The admin token is in {first.admin_token.path.absolute()}."]
    key = secret or f"$(cat {shlex.quote(str(key_path))})"
    model = config.catalog.default_model
    python_key = repr(secret) if secret else f"open({str(key_path)!r}).read().strip()"
    # The snippets stand at the left edge: pasted into a Python prompt, indented lines would be an error.
    return "\n".join(
        [
            *lines,
            "",
            "A picture with curl, saved as cat.png:",
            "",
            f"""curl -s {base_url}/images/generations -H "Authorization: Bearer {key}" \\""",
            """  -H "Content-Type: application/json" """
            f"""-d '{{"model": "{model}", "prompt": "A cat playing in the grass", "response_format": "b64_json"}}' \\""",
            """  | python3 -c "import base64, json, sys; """
            """open('cat.png', 'wb').write(base64.b64decode(json.load(sys.stdin)['data'][0]['b64_json']))\"""",
            "",
            "The same with Python (pip install openai), saved as cat2.png:",
            "",
            "import base64, openai",
            f"client = openai.OpenAI(base_url={base_url!r}, api_key={python_key})",
            f"picture = client.images.generate(model={model!r}, prompt='A cat playing in the grass')",
            "open('cat2.png', 'wb').write(base64.b64decode(picture.data[0].b64_json))",
            "",
            f"API reference: {config.server.public_url}/docs    Stop with Ctrl-C.",
        ]
    )
