"""The page runs, keeps what people wrote, and lets nothing from data out of its place."""

import re
import shutil
from pathlib import Path

import damage
import datasets.config
import duckdb
import polars
import pyarrow.parquet as pq
import pytest
import soundfile

from sousa.builders import cli
from sousa.builders.validate import validate
from sousa.cards import card
from sousa.cards.facts import facts
from sousa.cards.figures import title
from sousa.cards.front_matter import load, split_card
from sousa.cards.samples import samples

PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def page(folder: Path) -> str:
    return (folder / "README.md").read_text("utf-8")


def metadata(text: str) -> dict[str, object]:
    return load(split_card(text)[0])


@pytest.fixture
def light(built: Path, tmp_path: Path) -> Path:
    """A folder without audio, with a card."""
    folder = damage.copy(built, tmp_path / "light", "midi_only", "labels_only")
    card.write(folder)
    return folder


def written_into(folder: Path, name: str, prose: str) -> None:
    begin = f"<!-- prose:begin {name} -->\n"
    assert begin in page(folder)
    damage.replace(
        folder / "README.md", page(folder).replace(begin, f"{begin}{prose}").encode("utf-8")
    )


@pytest.mark.parametrize("configs", [("audio", "labels_only"), ("midi_only",), ("labels_only",)])
def test_every_snippet_runs(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configs: tuple[str, ...]
):
    """As it stands on the page, but for the place."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = damage.copy(built, tmp_path / "folder", *configs)
    snippets = PYTHON.findall(card.write(folder).text)
    for snippet in snippets:
        local = snippet.replace("hf://datasets/org/sousa", str(folder))
        exec(local.replace("org/sousa", str(folder)), {})
    used = "".join(snippets)
    wanted = ["load_dataset", "pd.read_parquet", "pl.scan_parquet", "duckdb.sql"]
    wanted += ["SOUSADataset"] if "audio" in configs else []
    assert [name for name in wanted if name not in used] == []
    assert used.count("org/sousa") >= len(snippets)


def test_polars_and_duckdb_count_what_the_footers_say(built: Path):
    pattern = f"{built}/labels_only/train-*.parquet"
    rows = facts(built).configs["labels_only"].splits["train"].rows
    assert polars.scan_parquet(pattern).select(polars.len()).collect().item() == rows
    assert duckdb.sql(f"SELECT count(*) FROM '{pattern}'").fetchall() == [(rows,)]


def test_the_place_is_an_argument(light: Path):
    text = card.compose(light, place="drums/snare").text
    assert "org/sousa" not in text
    assert 'load_dataset("drums/snare"' in text
    assert "hf://datasets/drums/snare/labels_only" in text
    assert "org/sousa" in page(light)


def test_only_some_configs_can_be_described(built: Path):
    part = card.compose(built, configs=("labels_only",))
    content = metadata(part.text)
    assert [entry["config_name"] for entry in content["configs"]] == ["labels_only"]
    assert content["configs"][0]["default"] is True
    assert set(part.files) == {"README.md", "croissant.json", "card/scores.svg"}
    assert "audio_16k" not in part.text
    with pytest.raises(FileNotFoundError, match=r"has the configs audio, .*; not 'video'"):
        card.compose(built, configs=("video",))


def test_samples_are_unchanged_clips_of_the_lowest_and_highest_tier(built: Path):
    found = samples(built, facts(built))
    assert [clip.labels["skill_tier"] for clip in found] == ["beginner", "professional"]
    assert len({clip.labels["rudiment_slug"] for clip in found}) == 1
    rows = pq.read_table(damage.shard(built, "audio"), columns=["audio"])["audio"].to_pylist()
    for clip in found:
        assert rows[int(clip.where.rpartition(" ")[2])]["bytes"] == clip.content
        assert (built / "card" / clip.name).read_bytes() == clip.content
        assert soundfile.info(built / "card" / clip.name).samplerate == 44_100
        assert title(clip).startswith(f"{clip.labels['skill_tier']}, ")


def test_what_a_card_adds_is_no_data(built: Path):
    """Pictures and samples lie beside the configs, and every check passes."""
    extras = sorted(path.name for path in (built / "card").iterdir())
    assert extras == ["sample-1.flac", "sample-2.flac", "samples.svg", "scores.svg"]
    assert tuple(facts(built).configs) == ("audio", "audio_16k", "midi_only", "labels_only")
    assert not validate(built).findings


def test_links_of_the_page_lead_somewhere(built: Path):
    links = re.findall(r"\]\((card/[^)]+)\)", page(built))
    assert len(links) == 4
    assert all((built / link).is_file() for link in links)


def test_figures_of_what_is_gone_are_removed(built: Path, tmp_path: Path):
    folder = damage.copy(built, tmp_path / "folder", "audio", "labels_only")
    card.write(folder)
    (folder / "card" / "mine.png").write_bytes(b"mine")
    shutil.rmtree(folder / "audio")
    card.write(folder)
    assert sorted(path.name for path in (folder / "card").iterdir()) == ["mine.png", "scores.svg"]
    assert "samples.svg" not in page(folder)


def test_prose_in_marked_places_is_kept(light: Path):
    generated = page(light)
    written_into(light, "uses", "To *swing*.\n\n| a | b |\n\n")
    by_hand = page(light)
    assert by_hand != generated
    assert card.write(light).homeless == ()
    assert page(light) == by_hand


def test_what_the_shards_say_is_written_anew(light: Path):
    written_into(light, "about", "Made for a thesis.\n")
    damage.replace(light / "README.md", page(light).replace("48 clips", "99 clips").encode())
    card.write(light)
    assert "Made for a thesis.\n" in page(light)
    assert "48 clips" in page(light)
    assert "99 clips" not in page(light)


def test_prose_without_a_place_stands_at_the_end_and_is_said(
    light: Path, capsys: pytest.CaptureFixture[str]
):
    mine = "<!-- prose:begin thanks -->\nTo Ada.\n<!-- prose:end thanks -->\n"
    damage.replace(light / "README.md", (page(light) + mine).encode())
    for _ in range(2):  # it is not lost the second time, nor there twice
        assert cli.main(["card", str(light)]) == 0
        assert "prose 'thanks'" in capsys.readouterr().out
        assert page(light).endswith(mine)
        assert page(light).count("To Ada.") == 1


def test_keys_that_people_add_or_change_are_kept(light: Path):
    text = page(light).replace("license: cc-by-4.0", "license: mit\nviewer: false")
    text = text.replace("tags:\n", "tags:\n- thesis\n").replace("n<1K", "1M<n<10M")
    damage.replace(light / "README.md", text.encode())
    content = metadata(card.write(light).text)
    assert content["license"] == "mit"
    assert content["viewer"] is False
    assert content["tags"][0] == "thesis"
    assert content["size_categories"] == ["n<1K"]
    assert metadata(card.write(light).text) == content


def test_a_card_that_is_not_ours_is_not_overwritten(
    light: Path, capsys: pytest.CaptureFixture[str]
):
    damage.replace(light / "README.md", b"# My own words\n")
    assert cli.main(["card", str(light)]) == 1
    error = capsys.readouterr().err
    assert "was not made by `sousa card`" in error
    assert len(error.splitlines()) == 1
    assert page(light) == "# My own words\n"
    assert cli.main(["card", str(light), "--overwrite"]) == 0
    assert "My own words" not in page(light)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("<!-- prose:begin thanks -->\n", r"the place 'thanks' is not ended"),
        ("<!-- prose:end uses -->\n", r"line \d+: .* does not pair up"),
        (
            "<!-- prose:begin about -->\n<!-- prose:end about -->\n",
            r"line \d+: .* does not pair up",
        ),
    ],
)
def test_marks_that_do_not_pair_up_lose_nothing(light: Path, broken: str, said: str):
    text = (page(light) + broken).encode()
    damage.replace(light / "README.md", text)
    with pytest.raises(ValueError, match=rf"README.md: {said}.*--overwrite"):
        card.write(light)
    assert (light / "README.md").read_bytes() == text


def test_yaml_that_cannot_be_read_loses_nothing(light: Path):
    damage.replace(light / "README.md", page(light).replace("tags:", "tags: [").encode())
    with pytest.raises(ValueError, match=r"README.md: the YAML of the card cannot be read"):
        card.write(light)


def test_a_name_that_the_hub_refuses_is_refused(light: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["card", str(light), "--repo", "no name"]) == 2
    assert "'no name'" in capsys.readouterr().err


def test_a_clip_that_cannot_be_decoded_is_named(built: Path, tmp_path: Path):
    folder = damage.copy(built, tmp_path / "folder", "audio")
    (row,) = [
        int(clip.where.rpartition(" ")[2])
        for clip in samples(built, facts(built))
        if clip.name == "sample-1.flac"
    ]

    def tear(cells: damage.Row) -> None:
        cells["audio"]["bytes"] = cells["audio"]["bytes"][:30]

    damage.change_row(folder, tear, row)
    with pytest.raises(OSError, match=rf"audio/train-.*parquet row {row}: its audio cannot be"):
        card.write(folder)
