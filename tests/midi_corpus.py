"""MIDI files of all kinds, written by mido or by hand, and trees of them."""

import io
import os
import random
from collections.abc import Sequence
from pathlib import Path

import mido

HEADER = b"MThd\x00\x00\x00\x06"


def midi(*tracks: Sequence[mido.Message | mido.MetaMessage], kind: int = 1) -> bytes:
    """Return the bytes of a file at 480 ticks, as mido writes it."""
    file = mido.MidiFile(type=kind, ticks_per_beat=480)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    written = io.BytesIO()
    file.save(file=written)
    return written.getvalue()


def smf(track: bytes, *, kind: int = 0, tracks: int = 1, division: bytes = b"\x01\xe0") -> bytes:
    """Return the bytes of a file with one track, as given."""
    header = HEADER + kind.to_bytes(2, "big") + tracks.to_bytes(2, "big") + division
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def song(seed: int, notes: int = 8, *, name: str = "") -> bytes:
    """Return a file of two tracks, melody and drums; other seeds play other notes."""
    rng = random.Random(seed)
    head = [
        mido.MetaMessage("track_name", name=name),
        mido.MetaMessage("set_tempo", tempo=500_000),
        mido.MetaMessage("time_signature", numerator=3, denominator=4),
        mido.Message("program_change", channel=0, program=rng.randrange(128)),
        mido.Message("control_change", channel=0, control=64, value=127, time=10),
    ]
    return midi([*head, *_notes(rng, notes, 0)], _notes(rng, notes, 9))


def _notes(rng: random.Random, notes: int, channel: int) -> list[mido.Message]:
    played = []
    for _ in range(notes):
        pitch = rng.randrange(35, 82)
        on = {"note": pitch, "velocity": rng.randrange(1, 128), "time": rng.randrange(0, 480)}
        played.append(mido.Message("note_on", channel=channel, **on))
        off = {"note": pitch, "time": rng.randrange(1, 240)}
        played.append(mido.Message("note_off", channel=channel, **off))
    return played


UNENDED = smf(b"\x00\x90\x3c\x40\x60\x3e\x40\x60\x3c\x00\x60\xff\x2f\x00")
"""Note 60 from tick 0 to 192; note 62 from 96 is never ended, the track lasts until 288."""


def hostile_tree(root: Path) -> dict[str, str]:
    """Write a tree of good and bad files; return how the reason of each bad one begins, by path."""
    (root / "演奏" / "глубоко").mkdir(parents=True)
    for seed in range(12):
        (root / f"good-{seed}.mid").write_bytes(song(seed))
    (root / "演奏" / "глубоко" / "ñandú.MIDI").write_bytes(song(100))
    (root / os.fsdecode(b"latin-\xe9.mid")).write_bytes(song(101))
    (root / "unended.mid").write_bytes(UNENDED)
    (root / "riff.rmi").write_bytes(_riff(song(102)))
    (root / "tempos.mid").write_bytes(_many_tempos(5000))
    (root / "type2-one.mid").write_bytes(smf(b"\x00\x90\x3c\x40\x60\x80\x3c\x40", kind=2))
    (root / "notes.txt").write_text("passed over")
    bad = {
        "copy.mid": (song(0), "duplicate: the same bytes as "),
        "z-renamed.mid": (song(1, name="other"), "duplicate: the same events as good-1.mid"),
        "empty.mid": (b"", "empty file"),
        "text.mid": (b"no music in here", "not a MIDI file: begins with b'no m'"),
        "truncated.mid": (song(2)[:-30], "truncated: 1 of 2 tracks are whole, the next has "),
        "cut.mid": (song(3)[:14], "truncated: 0 of 2 tracks are there"),
        "smpte.mid": (smf(b"\x00\xff\x2f\x00", division=b"\xe7\x28"), "SMPTE division"),
        "no-division.mid": (
            smf(b"\x00\xff\x2f\x00", division=b"\0\0"),
            "malformed header: 0 ticks",
        ),
        "still.mid": (smf(b"\x00\xff\x51\x03\0\0\0\x00\x90\x3c\x40"), "malformed: a tempo of 0"),
        "stray.mid": (smf(b"\x00\x3c\x40"), "malformed track 0: no event at byte 0"),
        "silent.mid": (smf(b"\x00\xff\x2f\x00"), "filtered: 0 notes, against --min-notes 1"),
        "type2.mid": (song(5)[:9] + b"\x02" + song(5)[10:], "type 2: 2 patterns"),
        "huge.mid": (song(4) + bytes(4_000_000), "too large: 40002"),
    }
    for name, (content, _) in bad.items():
        (root / name).write_bytes(content)
    reasons = {name: reason for name, (_, reason) in bad.items()}
    (root / "演奏" / "loop").symlink_to(root, target_is_directory=True)
    (root / "演奏" / "above").symlink_to(root.parent, target_is_directory=True)
    (root / "nowhere.mid").symlink_to(root / "is not there")
    (root / "itself.mid").symlink_to(root / "itself.mid")
    os.mkfifo(root / "pipe.mid")
    reasons["演奏/loop"] = "link to a folder whose files are listed without it"
    reasons["演奏/above"] = "link out of the folder, not followed"
    reasons["nowhere.mid"] = "unreadable: No such file"
    reasons["itself.mid"] = "unreadable: Too many levels of symbolic links"
    reasons["pipe.mid"] = "not a regular file"
    # The duplicate that is listed first is kept.
    del reasons["copy.mid"]
    reasons["good-0.mid"] = "duplicate: the same bytes as copy.mid"
    return reasons


def _riff(content: bytes) -> bytes:
    size = len(content).to_bytes(4, "little")
    return b"RIFF" + (len(content) + 12).to_bytes(4, "little") + b"RMIDdata" + size + content


def _many_tempos(count: int) -> bytes:
    tempos = [
        mido.MetaMessage("set_tempo", tempo=400_000 + number, time=1) for number in range(count)
    ]
    note = [
        mido.Message("note_on", note=60, velocity=1, time=count),
        mido.Message("note_off", note=60, time=480),
    ]
    return midi(tempos, note)
