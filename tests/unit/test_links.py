"""Every link of the documents leads somewhere, and every document can be found from the README.

Looked at: the repository's Markdown outside of folders that tools make. Relative links, pictures and HTML's `href` and `src` must name a file of the
repository and, with an anchor, a heading of it by GitHub's rules. Links to other sites are not called, only read: https, and a host.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("charts/**/*.md")),
         *sorted(ROOT.glob("bench/*.md")), *sorted(ROOT.glob("deploy/**/*.md")))  # fmt: skip
LOCAL_HOSTS = ("127.0.0.1", "localhost")
"""A reader's own gateway; plain http is right there."""
INLINE = re.compile(r"\]\(\s*<?([^()\s<>]*(?:\([^()\s]*\)[^()\s<>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)")
DEFINED = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s+\"[^\"]*\")?\s*$", re.MULTILINE)
HTML = re.compile(r"<(?:a|img|source|image)\b[^>]*?\b(?:href|src|srcset)=\"([^\"]*)\"")
BARE = re.compile(r"<(https?://[^>\s]+)>")


def prose(text: str) -> str:
    """The text without fenced and inline code and comments, where nothing is a link; line breaks stay."""
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        found = re.match(r"\s*(`{3,}|~{3,})", line)
        if found and (not fence or (line.strip().startswith(fence) and not line.strip(" `~"))):
            fence = "" if fence else found[1]
        lines.append("" if fence or found else line)
    without = re.sub(r"<!--.*?-->", "", "\n".join(lines), flags=re.DOTALL)
    return re.sub(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", without, flags=re.DOTALL)


def links(text: str) -> Iterator[str]:
    """The targets of all links and pictures of a page."""
    plain = prose(text)
    # A badge is a picture inside a link: `[![alt](picture)](page)`; both are found, since the search goes on after each `](`.
    for pattern in (INLINE, DEFINED, HTML, BARE):
        yield from (found[1] for found in pattern.finditer(plain))


@cache
def anchors(page: Path) -> frozenset[str]:
    """What `#…` may name on a page: its headings as GitHub makes them, numbered where one comes again, and ids of its HTML."""
    text = page.read_text(encoding="utf-8")
    seen: dict[str, int] = {}
    for heading in headings(text):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        times = seen.get(slug, 0)
        seen[slug] = times + 1
        if times:
            seen[f"{slug}-{times}"] = 1
    return frozenset(seen) | frozenset(re.findall(r"<[a-z]+\b[^>]*?\b(?:id|name)=\"([^\"]+)\"", text))


def headings(text: str) -> Iterator[str]:
    """The words of the headings outside of code blocks, without what only formats them."""
    fenced = False
    for line in text.splitlines():
        if re.match(r"\s*(```|~~~)", line):
            fenced = not fenced
        found = None if fenced else re.match(r" {0,3}#{1,6}\s+(.+?)(?:\s+#+)?\s*$", line)
        if found:
            words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", found[1])
            yield re.sub(r"[`*]", "", words)


def broken(page: Path, text: str) -> list[str]:
    """Each link of a page that leads nowhere, or out of the repository, with what is wrong."""
    return [f"{target}: {wrong}" for target in links(text) if (wrong := fault(page, target))]


def fault(page: Path, target: str) -> str:
    """What is wrong with one link; empty: nothing."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        if parts.scheme == "mailto":
            return "" if re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", parts.path) else "no address"
        local = parts.hostname in LOCAL_HOSTS
        good = parts.hostname and (local or "." in parts.hostname)
        return (
            "" if good and (parts.scheme == "https" or (local and parts.scheme == "http")) else "not https with a host"
        )
    if not parts.path and not parts.fragment:
        return "empty"
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not file.is_relative_to(ROOT):
        return "outside of the repository"
    if not file.exists():
        return "no such file"
    if parts.fragment and file.suffix == ".md" and unquote(parts.fragment) not in anchors(file):
        return f"no such heading in {file.relative_to(ROOT)}"
    return ""


def reachable(start: Path) -> set[Path]:
    """The pages that one comes to from a page by following links."""
    found, waiting = {start}, [start]
    while waiting:
        page = waiting.pop()
        for target in links(page.read_text(encoding="utf-8")):
            parts = urlsplit(target)
            file = (page.parent / unquote(parts.path)).resolve()
            if not parts.scheme and parts.path.endswith(".md") and file not in found and file.exists():
                found.add(file)
                waiting.append(file)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Files and headings of the repository exist; links to other sites are at least well-formed."""
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_every_page_is_reachable_from_the_readme() -> None:
    """No document that nobody finds; those of docs/ stand in the README itself."""
    assert set(PAGES) - reachable(ROOT / "README.md") == set()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in readme] == []


def test_every_picture_is_shown_somewhere() -> None:
    """A picture that no page shows is a left-over; an SVG is well-formed and says in words what it shows."""
    shown = {(page.parent / target).resolve() for page in PAGES for target in links(page.read_text(encoding="utf-8"))}
    pictures = sorted((ROOT / "docs/images").iterdir())
    assert [picture.name for picture in pictures if picture not in shown] == []
    for picture in pictures:
        if picture.suffix == ".svg":
            names = [element.tag.rpartition("}")[2] for element in ElementTree.parse(picture).getroot()]
            assert names[:2] == ["title", "desc"], picture.name


def test_pages_that_code_and_configs_name_exist() -> None:
    """Messages, comments and runbooks send their readers to documents that are there, and to headings of them."""
    files = [path for folder in ("gateway", "config", "charts", "deploy") for path in (ROOT / folder).rglob("*.*")]
    texts = [
        file.read_text(encoding="utf-8")
        for file in files
        if file.suffix in (".py", ".yaml", ".yml", ".txt", ".tpl", ".json")
    ]
    named = {name for text in texts for name in re.findall(r"\bdocs/[\w/-]+\.md(?:#[\w-]+)?", text)}
    assert len(named) >= 5
    assert {name: wrong for name in named if (wrong := fault(ROOT / "README.md", name))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "[a](docs/nothing.md)",
        "[a](docs/api.md#nothing)",
        "[a](#none)",
        "![a](docs/images/nothing.svg)",
        '<img src="docs/nothing.png" alt="">',
        '<a href="docs/api.md#nothing">a</a>',
        "[a][b]\n\n[b]: docs/nothing.md",
        "[a](../elsewhere.md)",
        "[a](http://example.org/x)",
        "[a](https:///x)",
        "[a](mailto:nobody)",
        "[a]()",
        "`b` [a](docs/nothing.md) `c`",
        "[![a](docs/nothing.png)](README.md)",
        "[![a](LICENSE)](docs/nothing.md)",
    ],
)
def test_a_broken_link_is_noticed(text: str) -> None:
    """Wherever it stands and however it is written."""
    assert len(broken(ROOT / "README.md", text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[a](docs/api.md#errors) [b](LICENSE) [c](docs) [d](https://example.org/x) [e](mailto:a@example.org)",
        "`[a](docs/nothing.md)` and ``[`b`](docs/nothing.md)``",
        "```md\n[a](docs/nothing.md)\n```",
        "~~~~\n```\n[a](docs/nothing.md)\n~~~~",
        "<!-- [a](docs/nothing.md) -->",
        "[a](http://127.0.0.1:8080/docs) <https://example.org>",
        '[a](docs/api.md "a title")',
    ],
)
def test_good_links_and_what_is_no_link_pass(text: str) -> None:
    """Code and comments are not followed, and a reader's own gateway has no TLS."""
    assert broken(ROOT / "README.md", text) == []


def test_anchors_are_githubs(tmp_path: Path) -> None:
    """Lower case, no punctuation, spaces to hyphens one by one, equal ones numbered, code blocks without headings, formatting without traces."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A `code`: *and* [more](x.md)\n## Same\n## Same\n### 1. Over — under_score\n```sh\n# no heading\n```\n"
        '## What? It\'s "quoted"! ##\n#no heading\n<a id="by-hand"></a>\n## OpenAI (1.x, 2.x)\n'
    )
    assert anchors(page) == {
        "a-code-and-more", "same", "same-1", "1-over--under_score", "what-its-quoted", "by-hand", "openai-1x-2x",
    }  # fmt: skip
