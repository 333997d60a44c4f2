"""One page to look at and listen to a dataset: what it holds, and that it works in a browser."""

import base64
import hashlib
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import chromium
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from chromium import Browser
from damage import copy, rewrite, shard
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_data import HOSTILE, file_of, held, recordings, songs, tone
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from sousa.builders import cli
from sousa.builders.schema import SKILL_TIERS
from sousa.cards import report, report_clips, report_sound
from sousa.cards import report_drawing as drawing
from sousa.cards.report_bins import Bins
from sousa.cards.report_rows import fair_sample

FEW = report.Wanted(clips=6)


class Elements(HTMLParser):
    """Counts the elements of a page, as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture(scope="module")
def page(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("report") / "page.html"
    assert cli.main(["report", str(built), "--to", str(to), "--clips", "6"]) == 0
    return to


@pytest.fixture(scope="module")
def text(page: Path) -> str:
    return page.read_text("utf-8")


@pytest.fixture(scope="module")
def labels(built: Path) -> pa.Table:
    paths = (shard(built, "labels_only", split) for split in ("train", "validation", "test"))
    return pa.concat_tables([pq.read_table(path) for path in paths])


# What a page holds


def test_the_same_folder_gives_the_same_page(built: Path, text: str):
    assert report.compose(built, FEW) == text
    assert report.compose(built, report.Wanted(clips=6, seed=1)) != text


def test_the_table_holds_all_rows_as_the_shards_do(text: str, labels: pa.Table):
    table = held(text)["table"]
    columns = {column["name"]: column for column in table["columns"]}
    assert table["rows"] == table["total"] == 48
    assert columns["tempo_bpm"]["values"] == labels["tempo_bpm"].to_pylist()
    ids = columns["sample_id"]
    assert [ids["names"][v] for v in ids["values"]] == labels["sample_id"].to_pylist()
    tiers = columns["skill_tier"]
    assert tiers["names"] == list(SKILL_TIERS)
    assert tiers["values"] == labels["skill_tier"].to_pylist()
    scores = labels["overall_score"].to_pylist()
    assert columns["overall_score"]["values"] == pytest.approx(scores, rel=1e-5)


def test_a_clip_is_stored_unchanged_with_its_strokes(built: Path, text: str):
    clip = held(text)["clips"][0]
    config, name, row = re.fullmatch(r"(\w+)/(\S+) row (\d+)", clip["where"]).groups()
    stored = pq.read_table(built / config / name).slice(int(row), 1).to_pylist()[0]
    assert base64.b64decode(clip["sound"]["data"]) == stored["audio"]["bytes"]
    assert clip["sound"]["type"] == "audio/flac"
    assert clip["strokes"]["velocity"] == stored["strokes"]["actual_velocity"]
    assert clip["strokes"]["played"] == pytest.approx(stored["strokes"]["actual_time_ms"], 1e-5)
    assert clip["strokes"]["hand"] == ["LR"[hand] for hand in stored["strokes"]["hand"]]
    assert ["kit", stored["kit"], ""] in clip["labels"]


def test_clips_differ_in_tier_and_rudiment(text: str):
    clips = [{n: v for n, v, _ in clip["labels"]} for clip in held(text)["clips"]]
    assert max(Counter(clip["skill_tier"] for clip in clips).values()) == 2
    assert max(Counter(clip["rudiment_slug"] for clip in clips).values()) == 2
    assert len({clip["sample_id"] for clip in clips}) == 6


@given(st.integers(0, 60), st.integers(0, 9))
def test_choosing_takes_each_clip_once_and_shares_tiers_evenly(count: int, seed: int):
    tiers = [SKILL_TIERS[row % 4] for row in range(40)]
    table = {"split": ["train"] * 40, "skill_tier": tiers}
    taken = report_clips.choose(table, [], count, seed)
    shares = Counter(tiers[row] for row in taken)
    assert len(set(taken)) == len(taken) == min(count, 40)
    assert not taken or max(shares.values()) - min(shares[t] for t in SKILL_TIERS) <= 1


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 9))
def test_a_fair_sample_is_in_order_and_has_no_row_twice(total: int, most: int, seed: int):
    rows = fair_sample(total, most, seed)
    assert len(rows) == min(total, most)
    assert (np.diff(rows) > 0).all()
    assert rows[0] >= 0
    assert rows[-1] < total


def test_a_large_dataset_says_that_its_table_is_a_sample(
    built: Path, labels: pa.Table, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(report, "MOST_ROWS", 10)
    page = report.compose(built, report.Wanted(clips=2))
    table = held(page)["table"]
    assert (table["rows"], table["total"]) == (10, 48)
    assert "The table holds 10 of 48 clips, drawn at random" in page
    names, values = (table["columns"][0][key] for key in ("names", "values"))
    assert {names[v] for v in values} < set(labels["sample_id"].to_pylist())
    assert "professional: median" in page  # figures count all rows, of every tier


def test_only_the_splits_that_were_asked_for(built: Path):
    page = report.compose(built, report.Wanted(clips=3, splits=("test",)))
    assert held(page)["table"]["total"] == 16
    assert {clip["split"] for clip in held(page)["clips"]} == {"test"}


def test_the_policy_allows_what_is_in_the_page_and_nothing_else(text: str):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for kind, pattern in (
        ("script", r"<script>(.*?)</script>"),
        ("style", r"<style>(.*?)</style>"),
    ):
        content = re.search(pattern, text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_text_from_the_data_is_never_markup(tmp_path: Path, text: str):
    page = report.compose(recordings(tmp_path / "</title><b>&"), FEW)
    found, usual = Elements(page), Elements(text)
    assert found.found["script"] == usual.found["script"] == 2
    assert found.found["b"] == found.found["img"] == 0
    assert not {name for name in found.attributes if name.startswith("on")}
    columns = {c["name"]: c for c in held(page)["table"]["columns"]}
    assert set(columns["source_path"]["names"]) == set(HOSTILE)
    assert "\u2028" not in page


# Sound and pictures


def test_a_long_recording_is_cut_and_says_so():
    wave = np.stack([tone(25, rate=44_100)] * 2, axis=1)
    heard = report_sound.sound(file_of(wave, 44_100))
    played, rate = soundfile.read(io.BytesIO(heard.content))
    assert (rate, played.ndim) == (16_000, 1)
    assert len(played) / rate == pytest.approx(heard.seconds) == report_sound.EXCERPT_SEC
    assert heard.note.startswith("the first 20 s of 25 s, played in mono at 16000 Hz")


def test_what_browsers_may_not_play_becomes_flac():
    heard = report_sound.sound(file_of(tone(), kind="OGG"))
    assert heard.media_type == "audio/flac"
    assert heard.content.startswith(b"fLaC")
    assert "mono" in heard.note


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be decoded"),
        (b"RIFF" + bytes(40), "cannot be decoded"),
        (file_of(tone(0)), "no samples"),
    ],
)
def test_sound_that_is_none_says_why(content: bytes, said: str):
    with pytest.raises(report_sound.SilentError, match=said):
        report_sound.sound(content)


def test_a_spectrogram_is_brightest_where_the_tone_is():
    picture, ticks = report_sound.spectrogram(tone(hertz=2000), 16_000)
    image = np.asarray(Image.open(io.BytesIO(picture)))
    share = dict(ticks)[2.0]
    brightest = image[:, 10:-10].sum(axis=1).argmax()
    assert 1 - (brightest + 0.5) / len(image) == pytest.approx(share, abs=1.5 / len(image))


@given(st.integers(1, 20), st.integers(1, 20), st.randoms(use_true_random=False))
def test_a_png_holds_the_image(height: int, width: int, random):
    image = np.array(random.choices(range(32), k=height * width), np.uint8).reshape(height, width)
    opened = Image.open(io.BytesIO(report_sound.png(image, report_sound.palette())))
    assert (np.asarray(opened) == image).all()
    assert opened.getpalette()[:96] == report_sound.palette().ravel().tolist()


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=9000))
def test_peaks_are_the_ends_of_each_part(values: list[float]):
    wave = np.array(values, np.float32)
    found = report_sound.peaks(wave)
    loudest = np.abs(wave).max() or 1
    assert found.shape == (2, report_sound.PEAKS)
    assert (found[0] <= found[1]).all()
    assert found.min() == round(float(wave.min() / loudest * 127))
    assert found.max() == round(float(wave.max() / loudest * 127))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_of_bins_lie_within_a_bin(values: list[float], share: float):
    counts, _ = np.histogram(values, bins=400, range=(0, 100))
    found = Bins(0, 100, counts).quantile(share)
    ranked = np.sort(values)
    nearest = ranked[
        [
            max(0, int(np.ceil(share * len(values))) - 1),
            min(len(values) - 1, int(share * len(values))),
        ]
    ]
    assert nearest[0] - 0.251 <= found <= nearest[1] + 0.251


@given(st.lists(st.floats(-(2.0**90), 2.0**90, width=32), min_size=2, max_size=50, unique=True))
def test_a_histogram_counts_every_value(values: list[float]):
    drawn = drawing.histogram(np.array(values, np.float32), "<&>").replace("{labels}", "", 1)
    told = [title.text for title in ElementTree.fromstring(drawn).iter("title")]
    assert sum(int(re.search(r": ([\d,]+) clips$", each)[1]) for each in told) == len(values)


@given(st.lists(st.floats(-300, 300), max_size=50))
def test_violins_tell_the_median_of_what_is_in_view(values: list[float]):
    bins = Bins(-200, 200, np.zeros(800, np.int64)).with_values(np.array(values))
    drawn = drawing.violins({"<b>": bins}, "ms", (-200.0, 200.0)).replace("{labels}", "", 1)
    told = [title.text for title in ElementTree.fromstring(drawn).iter("title")]
    inside = [value for value in values if abs(value) <= 200]
    assert len(told) == bool(inside)
    if len(inside) % 2:
        median = float(re.search(r"^<b>: median (\S+),", told[0])[1])
        assert median == pytest.approx(np.median(inside), abs=0.51)


# What is refused


def test_a_class_without_a_name_has_a_label():
    assert drawing.bars([("", 2), ("snare", 1)]).count(">(empty)<") == 1


def complaint(capsys: pytest.CaptureFixture[str], *options: str, code: int = 1) -> str:
    assert cli.main(["report", *options]) == code
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_mistakes_are_one_line(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    to = str(tmp_path / "page.html")
    assert "hf download" in complaint(capsys, "org/sousa", "--to", to)
    assert "not 'dev'" in complaint(capsys, str(built), "--to", to, "--split", "dev")
    assert "no dataset in" in complaint(capsys, str(tmp_path), "--to", to)
    assert "named *.html" in complaint(capsys, str(built), "--to", "page.txt", code=2)
    assert "0 to 200" in complaint(capsys, str(built), "--clips", "-1", code=2)
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_leaves_nothing(built: Path, tmp_path: Path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError, match=r"page\.html cannot be written"):
        report.write(built, tmp_path / "page.html", report.Wanted(clips=0))
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_damaged_shard_is_named(built: Path, tmp_path: Path):
    folder = copy(built, tmp_path / "damaged", "audio")
    path = shard(folder, "audio")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(OSError, match=f"{path.name} is damaged"):
        report.compose(folder, FEW)


def test_shards_that_differ_in_columns_are_named(tmp_path: Path):
    folder = recordings(tmp_path / "set") / "audio_16k"
    table = pq.read_table(folder / "train-00000-of-00001.parquet")
    pq.write_table(table.drop_columns("genre"), folder / "train-00001-of-00002.parquet")
    with pytest.raises(OSError, match=r"train-00001-of-00002\.parquet has no column 'genre'"):
        report.compose(tmp_path / "set", FEW)


def test_the_page_lies_beside_the_folder_unless_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert cli.main(["report", str(songs(tmp_path / "set")), "--clips", "0"]) == 0
    assert str(tmp_path / "set-report.html") in capsys.readouterr().out
    assert held((tmp_path / "set-report.html").read_text("utf-8"))["clips"] == []
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["midi_only"]


def test_a_clip_that_cannot_be_decoded_is_shown_without_sound(tmp_path: Path):
    audio = [{"bytes": b"nothing", "path": None}, None, {"bytes": None, "path": "x.wav"}]
    folder = recordings(tmp_path / "set", 3, audio=audio)
    clips = held(report.compose(folder, FEW))["clips"]
    assert ["cannot be decoded" in clips[0]["silent"], clips[1]["silent"]] == [
        True,
        "its audio is not stored in the dataset",
    ]
    assert [item[2] for item in clips[0]["events"]["events"]] == ["kick", "snare"]


def test_a_clip_without_sound_is_as_long_as_what_is_drawn(tmp_path: Path):
    path = shard(songs(tmp_path / "set"), "midi_only")
    table = pq.read_table(path)
    lengths = pa.array([None, -1.0, 9.0], pa.float32())
    rewrite(path, table.set_column(0, table.schema.field("duration_sec"), lengths))
    clips = held(report.compose(tmp_path / "set", FEW))["clips"]
    assert [clip["seconds"] for clip in clips] == [0.75, 0.75, 9]


def test_null_and_infinite_numbers_are_no_trouble(built: Path, tmp_path: Path):
    folder = copy(built, tmp_path / "odd", "labels_only")
    path = shard(folder, "labels_only")
    table = pq.read_table(path)
    odd = pa.array([float("nan"), float("inf"), None, -1.0] * 4, pa.float32())
    place = table.column_names.index("tempo_bpm")
    rewrite(path, table.set_column(place, table.schema.field("tempo_bpm"), odd))
    columns = held(report.compose(folder, FEW))["table"]["columns"]
    (tempo,) = (column for column in columns if column["name"] == "tempo_bpm")
    assert tempo["values"][:4] == [None, None, None, -1]


# In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium.browsing(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    browser.open(page)
    return browser


def shown_clip(browser: Browser, text: str) -> dict:
    return held(text)["clips"][int(browser.one("#pick").get_property("value"))]


@chromium.needed
def test_it_draws_and_stays_off_the_network(opened: Browser, text: str):
    clip = shown_clip(opened, text)
    assert len(opened.all("#distributions figure svg")) == Elements(text).found["figure"] >= 8
    assert len(opened.all("#lanes .stroke:not(.error)")) == len(clip["strokes"]["played"])
    assert len(opened.all("#lanes .meant")) == len(clip["strokes"]["meant"])
    assert (
        opened.until(
            lambda: opened.script("return document.querySelector('#lanes img').naturalWidth")
        )
        > 100
    )
    for selector in ("#lanes", "#distributions figure"):
        image = Image.open(io.BytesIO(opened.one(selector).screenshot_as_png)).convert("RGB")
        assert len(image.getcolors(maxcolors=2**24)) > 30
    assert opened.complaints() == []
    schemes = {address.split(":", 1)[0] for address in opened.requests()}
    assert schemes <= {"file", "data", "blob"}


@chromium.needed
def test_a_clip_plays_pauses_and_seeks(opened: Browser):
    time = "return document.getElementById('audio').currentTime"
    left = "return document.querySelector('.playhead').getBoundingClientRect().left"
    begin = opened.script(left)
    opened.one("#play").click()
    opened.until(lambda: opened.script(time) > 0.3)
    opened.until(lambda: opened.script(left) > begin + 10)
    assert opened.one("#play").text == "Pause"
    opened.script("document.activeElement.blur()")
    ActionChains(opened.driver).send_keys(" ").perform()
    opened.until(lambda: opened.one("#play").text == "Play")
    opened.one("#lanes").click()  # in its middle
    middle = opened.script("return document.getElementById('audio').duration") / 2
    opened.until(lambda: abs(opened.script(time) - middle) < 0.05)
    ActionChains(opened.driver).send_keys(Keys.ARROW_RIGHT).perform()
    opened.until(lambda: abs(opened.script(time) - middle - 0.25) < 0.05)
    ActionChains(opened.driver).send_keys("n").perform()
    assert opened.one("#pick").get_property("value") == "1"
    opened.until(lambda: opened.script(time) == 0)
    assert opened.complaints() == []


@chromium.needed
def test_pointing_at_a_stroke_tells_its_error(opened: Browser, text: str):
    strokes = shown_clip(opened, text)["strokes"]
    heads = opened.all("#lanes .stroke:not(.error) .head")
    ActionChains(opened.driver).move_to_element(heads[0]).perform()
    error = strokes["error"][0]
    said = f"{abs(error):.1f} ms {'early' if error < 0 else 'late'}"
    opened.until(lambda: said in opened.one("#told").text)
    assert f"Stroke 1 of {len(heads)}" in opened.one("#told").text


@chromium.needed
def test_the_table_narrows_sorts_and_turns_pages(opened: Browser, labels: pa.Table):
    def count() -> int:
        return int(re.search(r"([\d,]+) clips found", opened.one("#count").text)[1])

    def choose(name: str, value: str) -> None:
        opened.script(
            "const e = [...document.querySelectorAll('#filters label, #filters fieldset')]"
            ".find(e => e.textContent.startsWith(arguments[0])).querySelector('select, input');"
            "e.value = e.options ? [...e.options].find(o => o.text === arguments[1]).value"
            " : arguments[1]; e.dispatchEvent(new Event('input', {bubbles: true}));",
            name,
            value,
        )

    assert count() == len(opened.all("#rows tr")) == 48
    choose("skill tier", "beginner")
    beginners = labels.filter(pa.compute.equal(labels["skill_tier"], 0))
    assert count() == len(opened.all("#rows tr")) == len(beginners) == 12
    choose("tempo bpm", "100")
    fast = [tempo for tempo in beginners["tempo_bpm"].to_pylist() if tempo >= 100]
    assert 0 < len(fast) < 12
    assert count() == len(fast)
    opened.one("#clear").click()
    assert count() == 48
    choose("Search", "flam accent")
    assert count() == 12
    choose("Search", "")
    (head,) = (e for e in opened.all("th button") if e.text == "tempo bpm")
    head.click()
    head.click()
    shown = opened.texts("#rows tr td:nth-child(7)")
    assert [float(each) for each in shown] == sorted(labels["tempo_bpm"].to_pylist())[::-1]
    assert opened.one("th[aria-sort=descending]").text.startswith("tempo bpm")
    opened.one("#rows button").click()
    opened.until(lambda: opened.one("#play").text == "Pause")


@chromium.needed
def test_five_thousand_rows_are_a_page_at_a_time(browser: Browser, tmp_path: Path):
    audio = [None] * 5000
    to = tmp_path / "many.html"
    report.write(recordings(tmp_path / "many", 5000, audio=audio), to, report.Wanted(clips=1))
    browser.open(to)
    assert len(browser.all("#rows tr")) == 50
    browser.one("#forth").click()
    assert browser.one("#count").text.startswith("51 to 100 of 5,000")
    took = browser.script(
        "const e = document.querySelector('#filters [name=search]'); e.value = 'id49';"
        "const began = performance.now(); e.dispatchEvent(new Event('input', {bubbles: true}));"
        "return performance.now() - began"
    )
    assert browser.one("#count").text.startswith("1 to 50 of 111")
    assert took < 1000  # some 10 ms where nothing else runs


@chromium.needed
def test_hostile_text_is_shown_and_not_run(browser: Browser, tmp_path: Path):
    to = tmp_path / "hostile.html"
    report.write(recordings(tmp_path / HOSTILE[3].replace("/", "")), to, FEW)
    browser.open(to)
    assert browser.script("return window.hacked") is None
    assert set(HOSTILE) == {
        path
        for path in browser.script(
            "return [...document.querySelectorAll('#rows td[title]')].map(e => e.title)"
        )
        if path in HOSTILE
    }
    events = browser.texts("#lanes text.ink")
    assert [text for text in events if text in ("kick", "snare")] == ["kick", "snare"]
    assert browser.complaints() == []


@chromium.needed
def test_notes_are_drawn_where_there_is_no_sound(browser: Browser, tmp_path: Path):
    to = tmp_path / "page.html"
    assert cli.main(["report", str(songs(tmp_path / "set")), "--to", str(to)]) == 0
    browser.open(to)
    assert len(browser.all("#lanes .note-bar")) == 2
    assert len(browser.all("#lanes .note-bar.drum")) == 1
    assert not browser.one("#play").is_enabled()
    assert browser.complaints() == []
    browser.script("document.getElementById('listen').scrollIntoView()")
    assert (
        browser.one("#keys").text
        == "← → a quarter of a second, P N previous or next clip; click to seek."
    )


@chromium.needed
def test_figures_need_no_script_and_colours_follow_the_theme(browser: Browser, page: Path):
    try:
        browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(page)
        assert browser.one("noscript p").is_displayed()
        assert browser.one("#distributions figure svg").is_displayed()
    finally:
        browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
    browser.open(page)
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.script(ground)
    browser.one("#theme").click()
    assert browser.script(ground) != light


@chromium.needed
def test_every_control_has_a_name(opened: Browser):
    nameless = opened.script(
        "return [...document.querySelectorAll('button, select, input, img, [role=img]')]"
        ".filter(e => !(e.ariaLabel || e.textContent.trim() || e.alt || e.labels?.length ||"
        " e.getAttribute('aria-labelledby'))).map(e => e.outerHTML.slice(0, 80))"
    )
    assert nameless == []
    levels = opened.script(
        "return [...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
