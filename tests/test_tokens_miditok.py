"""MidiTok's tokenizers as columns: its own ids, each row checked, its own files."""

import json
import subprocess
import sys
import textwrap
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from symusic import Note, Score, Tempo, TimeSignature, Track

from sousa.builders import cli, midi
from sousa.builders.miditok_tokens import CLASSES
from sousa.builders.tokenizer import as_lists
from sousa.builders.tokens import Tokenizer, load_tokenizer, parse_tokenizers, to_json

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    miditok = pytest.importorskip("miditok")

SETTINGS: dict[str, dict[str, Any]] = {name: {"use_programs": True} for name in CLASSES}
SETTINGS["mmm"]["base_tokenizer"] = "TSD"
SETTINGS["pertok"] |= {
    "use_microtiming": True,
    "ticks_per_quarter": 480,
    "max_microtiming_shift": 0.125,
    "num_microtiming_bins": 120,
    "beat_res": {"0_4": 4, "0_12": 3},
}
EXACT = {
    "use_programs": True,
    "num_velocities": 127,
    "use_tempos": True,
    "num_tempos": 181,
    "tempo_range": [40, 220],
    "beat_res": {"0_12": 96},
}


def spec(folder: Path, name: str, settings: dict[str, Any]) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(settings))
    return f"{name}:{path}"


def made(folder: Path, name: str, settings: dict[str, Any] | None = None) -> Tokenizer:
    content = SETTINGS[name] if settings is None else settings
    return parse_tokenizers([spec(folder, name, content)])[f"tokens_{name}"]


def snare(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    tick = np.cumsum(rng.integers(60, 200, 40))
    return midi.encode(midi.Notes(tick, rng.integers(1, 128, 40), 110, 4))


def band(step: int = 60) -> bytes:
    """Piano, bass and drums in quarters of a beat."""
    rng, score = np.random.default_rng(3), Score(480)
    score.tempos.append(Tempo(0, 120))
    score.time_signatures.append(TimeSignature(0, 4, 4))
    for program, is_drum in ((0, False), (33, False), (0, True)):
        track = Track(program=program, is_drum=is_drum)
        for tick in range(0, 3840, 240):
            pitch, velocity = rng.integers(40, 80), rng.integers(1, 127)
            track.notes.append(Note(tick + step * (tick % 480 > 0), 120, int(pitch), int(velocity)))
        score.tracks.append(track)
    return bytes(score.dumps_midi())


FILES = (snare(0), snare(1), band())


@pytest.mark.parametrize("name", CLASSES)
def test_the_ids_are_those_of_miditok(name: str, tmp_path: Path) -> None:
    tokenizer = made(tmp_path, name)
    path = tmp_path / "tokenizers.json"
    path.write_text(to_json(tokenizer))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(miditok, CLASSES[name])(params=path)  # our file is one of MidiTok's
        expected = [theirs.encode(Score.from_midi(file)).ids for file in FILES]
    found = tokenizer.tokenize(FILES)
    assert [
        as_lists(each.ids or []) if isinstance(each.ids, list) else each.ids.tolist()
        for each in found
    ] == expected
    assert tokenizer.depth == (2 if theirs.is_multi_voc else 1)
    assert load_tokenizer(path) == tokenizer
    content = json.loads(path.read_text())
    assert content["tokenization"] == CLASSES[name]
    assert content["miditok_version"] == version("miditok")
    assert tokenizer.special_ids["PAD"] == 0
    assert Score.from_midi(tokenizer.decode(found[2].ids)).note_num() > 40


def test_a_row_says_whether_all_of_the_file_is_in_its_tokens(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, "tsd", EXACT)
    on_grid, off_grid = tokenizer.tokenize([band(), band(step=61)])
    assert on_grid.exact
    assert (off_grid.exact, off_grid.reason) == (False, "decoding gives other notes")
    assert off_grid.ids is not None


def test_a_row_that_does_not_come_back_has_no_tokens(tmp_path: Path) -> None:
    """Octuple has 60 bars unless told otherwise, and drops what comes after them."""
    tokenizer = made(tmp_path, "octuple")
    tick = np.array([0, 70 * 1920])
    (encoded,) = tokenizer.tokenize([midi.encode(midi.Notes(tick, tick // 1920 + 9, 120, 4))])
    assert (encoded.ids, encoded.exact) == (None, False)
    assert encoded.reason == "of 2 notes that were encoded 1 come back, and 0 others"


def test_what_is_no_file_has_no_tokens(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, "remi")
    (encoded,) = tokenizer.tokenize([b"RIFF"])
    assert encoded.ids is None
    assert encoded.reason == "not a MIDI file: begins with b'RIFF', must begin with b'MThd'"
    with pytest.raises(ValueError, match="not a MIDI file: begins with b'RIFF'"):
        tokenizer.encode(b"RIFF")
    with pytest.raises(ValueError, match=r"^a MIDI file must be bytes, got NoneType$"):
        tokenizer.encode(None)


def test_a_file_that_miditok_fails_on_has_a_reason_in_words(tmp_path: Path) -> None:
    score = Score.from_midi(snare(0))
    score.time_signatures = [TimeSignature(0, 2, 2)]
    (encoded,) = made(tmp_path, "pertok").tokenize([score.dumps_midi()])
    reason = "MidiTok's PerTok has no token TimeSig_2/2 in this configuration"
    assert (encoded.ids, encoded.reason) == (None, reason)


@pytest.mark.parametrize(
    ("name", "ids", "message"),
    [
        ("remi", [5.0], "ids must be a list of whole numbers in .*, got 5.0 in place 0"),
        ("remi", [-1], "got -1 in place 0"),
        ("remi", [[1, 2]], "got .1, 2. in place 0"),
        ("remi", [99_999], "got 99999 in place 0"),
        ("remi", None, "got None"),
        ("octuple", [1, 2], "at most 7 numbers, one a vocabulary, got 1 in place 0"),
        ("octuple", [[1] * 7, [1] * 8], "got .1, 1, .* in place 1"),
        ("octuple", [[9_999] * 7], r"whole numbers in \[0, \d+\], got 9999"),
        ("octuple", "1", "ids must be a list of lists of .*, got '1'"),
    ],
)
def test_what_are_no_ids_is_refused(tmp_path: Path, name: str, ids: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(tmp_path, name).decode(ids)


@pytest.mark.parametrize("name", CLASSES)
def test_a_file_without_notes_has_no_reason_to_fail(name: str, tmp_path: Path) -> None:
    none = np.empty(0, np.int64)
    (encoded,) = made(tmp_path, name).tokenize([midi.encode(midi.Notes(none, none, 120, 4))])
    assert encoded.ids is not None, encoded.reason


def test_several_tracks_need_one_stream(tmp_path: Path) -> None:
    tokenizer = made(tmp_path, "remi", {})
    alone, together = tokenizer.tokenize([snare(0), band()])
    assert alone.ids is not None
    assert together.reason == "3 tracks make 3 sequences; set use_programs for one"


def test_a_trained_tokenizer_is_taken_as_it_is(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = miditok.TSD(miditok.TokenizerConfig(use_programs=True))
        files = [tmp_path / f"{seed}.mid" for seed in range(4)]
        for seed, file in enumerate(files):
            file.write_bytes(snare(seed))
        theirs.train(vocab_size=500, files_paths=files)
        theirs.save(tmp_path / "trained.json")
        expected = theirs.encode(Score.from_midi(snare(9))).ids
    (tokenizer,) = parse_tokenizers([f"tsd:{tmp_path / 'trained.json'}"]).values()
    ids = tokenizer.encode(snare(9))
    assert ids.tolist() == expected
    assert len(tokenizer.vocab) == 500
    path = tmp_path / "tokens_tsd.json"
    path.write_text(to_json(tokenizer))
    assert load_tokenizer(path).encode(snare(9)).tolist() == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "must be a configuration in JSON"),
        ("[1]", "must be a configuration in JSON, got a list"),
        ('{"tokenization": "TSD"}', "is a tokenizer of class TSD, not REMI"),
        ('{"num_velocities": "many"}', "MidiTok refuses it: "),
        (
            '{"use_tempos": true, "num_tempos": 70000, "tempo_range": [1, 999]}',
            "at most 65536 ids fit, got",
        ),
    ],
)
def test_a_configuration_that_makes_no_tokenizer_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        parse_tokenizers([f"remi:{path}"])


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens_tsd.json"
    text = to_json(made(tmp_path, "tsd"))
    path.write_text(text.replace('"num_velocities": 32', '"num_velocities": 31'))
    assert path.read_text() != text
    with pytest.raises(ValueError, match="vocabulary or hash is not that"):
        load_tokenizer(path)


def test_miditok_is_needed_for_its_tokenizers_alone(tmp_path: Path) -> None:
    """And torch is not imported with it."""
    program = textwrap.dedent("""
        import sys
        sys.modules[{hidden!r}] = None
        from sousa.builders.tokens import parse_tokenizers
        assert parse_tokenizers(["grid", "ms"])
        try:
            parse_tokenizers([{spec!r}])
        except ValueError as error:
            print(error)
        else:
            print("torch" in sys.modules)
    """)
    asked = spec(tmp_path, "remi", {})
    outputs = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program.format(hidden=hidden, spec=asked)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hidden in ("miditok", "nothing")
    ]
    assert outputs == [
        'this tokenizer needs MidiTok: pip install "sousa-datasets[miditok]"',
        "False",
    ]


def test_a_dataset_is_built_validated_and_described_with_them(tmp_path: Path) -> None:
    names = [spec(tmp_path, "tsd", EXACT), spec(tmp_path, "octuple", SETTINGS["octuple"])]
    options = ["--preset", "tiny", "--rudiments", "flam", "--configs", "midi_only"]
    tokens = ["--tokens", ",".join(["grid+hands", *names])]
    folders = [tmp_path / "one", tmp_path / "two"]
    assert cli.main(["build", str(folders[0]), *options, *tokens, "--workers", "1"]) == 0
    assert cli.main(["build", str(folders[1]), *options, *tokens, "--workers", "2"]) == 0
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in folders
    ]
    assert contents[0] == contents[1]
    assert cli.main(["validate", str(folders[0]), "--all"]) == 0
    table = pq.read_table(folders[0] / "midi_only" / "train-00000-of-00001.parquet")
    assert table["tokens_octuple"].null_count == 0
    assert len(table["tokens_octuple"][0][0]) == 7
    tokenizer = load_tokenizer(folders[0] / "tokenizers" / "tokens_tsd.json")
    assert tokenizer.encode(table["midi"][0].as_py()).tolist() == table["tokens_tsd"][0].as_py()
    # Another content of the same file is another plan.
    Path(names[0].partition(":")[2]).write_text(json.dumps(EXACT | {"num_velocities": 64}))
    assert cli.main(["build", str(folders[0]), *options, *tokens]) == 1
