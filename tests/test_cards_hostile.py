"""Names that come from data stay data: no YAML, Markdown or HTML of theirs is ever obeyed."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sousa.builders.schema import SKILL_TIERS
from sousa.cards import card, figures, markdown, prose
from sousa.cards.facts import facts
from sousa.cards.front_matter import load, split_card
from sousa.cards.prose import with_prose
from sousa.cards.samples import samples

HOSTILE = (
    "---\nlicense: mit\n---",
    "</details><script>alert(1)</script>",
    "![x](http://evil) [y](javascript:0) <img src=x onerror=y>",
    "a | b\n|---|---|\n| c",
    "```\n# Title",
    "`` ` ``",
    "`<img src=x onerror=y>`",
    "<!-- prose:begin about -->",
    "-->\n<!-- prose:end uses -->\n",
    "$title ${place} $$",
    "'\"\\: {a: b} & * ? | > %",
    "\u2028\x85\x0c\x1b[31m\x00",
    "\u202egnirts",
    "@everyone www.evil.com https://evil.com",
)
TEXTS = st.text(min_size=1, max_size=40) | st.sampled_from(HOSTILE)


def folder_of(root: Path, kit: str, column: str, version: str) -> Path:
    """A folder of one shard, with strings from elsewhere wherever a card shows some."""
    kit, column = (value.encode("utf-8", "replace").decode("utf-8") for value in (kit, column))
    features = {
        "skill_tier": {"_type": "ClassLabel", "names": [*SKILL_TIERS]},
        "kit": {"_type": "Value", "dtype": "string"},
        "overall_score": {"_type": "Value", "dtype": "float32"},
        column: {"_type": "ClassLabel", "names": [f"{kit} 1", f"{column} 2"]},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    types = [pa.int64(), pa.string(), pa.float32(), pa.int64()]
    schema = pa.schema(zip(features, types, strict=True), metadata=metadata)
    values = [pa.array([0, 1]), pa.array([kit, kit]), pa.array([1.0, 2.0], pa.float32())]
    table = pa.Table.from_arrays([*values, pa.array([0, 1])], schema=schema)
    (root / "labels_only").mkdir(parents=True)
    pq.write_table(table, root / "labels_only" / "train-00000-of-00001.parquet")
    plan = {"players": kit, "rudiments": [kit, 7], "seed": kit, "score_set": kit, "kit": kit}
    manifest = {"plan": plan | {"versions": {version: kit}}, "shards": [{"path": kit}]}
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root


class Tags(HTMLParser):
    """Collects the tags of a page, but those in code, which are shown as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.found.add(tag)


def without_code(page: str) -> str:
    """Return a page without its blocks and spans of code, as CommonMark finds them."""
    lines: list[str] = []
    fence = ""
    for line in page.splitlines():
        marks = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            fence = "" if line.strip("`") == "" and len(marks) >= len(fence) else fence
        elif len(marks) >= 3:
            fence = marks
        else:
            lines.append("".join(line.split("`")[::2]))
    assert fence == ""
    return "\n".join(lines)


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> card.Card:
    return card.compose(folder_of(tmp_path_factory.mktemp("harmless") / "x", "pad", "mood", "v"))


@given(
    kit=TEXTS, column=TEXTS.filter(lambda name: name not in ("skill_tier", "kit")), version=TEXTS
)
@example(kit=HOSTILE[0], column=HOSTILE[4], version=HOSTILE[4])
@example(kit=HOSTILE[7], column=HOSTILE[8], version=HOSTILE[8])
@example(kit=HOSTILE[1], column=HOSTILE[1], version=HOSTILE[1])
@example(kit=HOSTILE[6], column=HOSTILE[6], version=HOSTILE[6])
@example(kit=HOSTILE[3], column=HOSTILE[3], version=HOSTILE[2])
def test_strings_from_data_change_nothing_but_their_place(
    tmp_path_factory: pytest.TempPathFactory,
    harmless: card.Card,
    kit: str,
    column: str,
    version: str,
):
    root = folder_of(tmp_path_factory.mktemp("hostile") / "x", kit, column, version)
    made = card.compose(root)
    yaml, page = split_card(made.text)
    _, plain = split_card(harmless.text)

    content: Any = load(yaml)
    names = [feature["name"] for feature in content["dataset_info"]["features"]]
    stored = pq.read_schema(next(root.glob("*/*.parquet"))).names
    assert names == stored
    assert set(content) == set(load(split_card(harmless.text)[0]))
    assert content["license"] == "cc-by-4.0"

    assert prose.prose(page) == prose.prose(plain)
    headings = [line for line in plain.splitlines() if line.startswith("#")]
    assert [line for line in page.splitlines() if line.startswith("#")] == headings
    assert page.count("\n") == plain.count("\n")
    tags = Tags()
    tags.feed(without_code(page))
    assert tags.found <= {"details", "summary"}
    assert "](http://evil" not in without_code(page)

    croissant = json.loads(made.files["croissant.json"])
    assert croissant["recordSet"][1]["field"][-1]["name"] == stored[-1]


@pytest.mark.parametrize("name", ['x"); evil("', "a`b", "${place}", "a\nb", "-rf", "a'b"])
def test_a_config_whose_name_would_be_code_is_refused(tmp_path: Path, name: str):
    root = folder_of(tmp_path / "x", "pad", "mood", "v")
    (root / "labels_only").rename(root / name)
    with pytest.raises(ValueError, match=r"a config must be named by letters.*rename its folder"):
        card.compose(root)


@given(TEXTS)
def test_a_fence_holds_what_it_fences(value: str):
    first, *_, last = markdown.fenced(value).split("\n")
    assert set(first) == {"`"}
    assert last == first
    assert first not in value


@given(TEXTS)
def test_a_picture_stays_a_picture(built_sample: Any, value: str):
    labels = {"skill_tier": value, "rudiment_slug": value}
    picture = figures.clips([replace(built_sample, labels=labels)])
    tree = ElementTree.fromstring(picture)
    assert {node.tag.rpartition("}")[2] for node in tree.iter()} <= {
        *("svg", "rect", "text", "line", "polygon"),
    }


@pytest.fixture(scope="module")
def built_sample(built: Path) -> Any:
    return samples(built, facts(built))[0]


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
PROSE = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n")).map(
    lambda text: f"{text}\n"
)


@given(st.dictionaries(NAMES, PROSE), st.lists(NAMES, unique=True))
def test_prose_is_never_lost(kept: dict[str, str], places: list[str]):
    """Whatever places a page has, all prose is in it once, and a second time changes nothing."""
    page = "# Title\n\n" + "\n".join(prose.place(name) for name in places)
    made, homeless = with_prose(page, kept)
    found = prose.prose(made)
    assert {name: text for name, text in kept.items() if text.strip()}.items() <= found.items()
    assert set(homeless) == {n for n in kept if n not in places and kept[n].strip()}
    assert with_prose(page, found)[0] == made
