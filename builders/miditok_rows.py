"""One file through a tokenizer of MidiTok, and back: what its row holds, and whether all of it."""

import reprlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from symusic import Score

from sousa.builders.events import Events, read, to_score
from sousa.builders.tokenizer import Encoded, as_lists
from sousa.builders.vocabulary import Ids, whole_ids

ROUNDED: Final = {"BEAT": "velocity", "PerTok": "duration"}
"""What a class rounds in the tokens, and not when it prepares a file: beats have one velocity,
durations are steps of the grid."""

Counted = dict[tuple[int, ...], int]


def vocabulary_of(tokenizer: Any) -> dict[str, int]:
    """Return ids by token; of several vocabularies by number, slash and token."""
    if tokenizer.is_trained and not tokenizer.is_multi_voc:
        return dict(sorted(tokenizer.vocab_model.items(), key=lambda item: item[1]))
    if not tokenizer.is_multi_voc:
        return dict(tokenizer.vocab)
    return {
        f"{number}/{name}": id_
        for number, part in enumerate(tokenizer.vocab)
        for name, id_ in part.items()
    }


def encoded(tokenizer: Any, midi: bytes) -> Encoded:
    """Return MidiTok's ids of a file, if the notes that it encoded come back."""
    try:
        events, score = read(midi), to_score(midi)
    except ValueError as error:
        return Encoded(None, exact=False, reason=" ".join(str(error).split()))
    try:
        score = tokenizer.preprocess_score(score)
        found = tokenizer.encode(score, no_preprocess_score=True)
        if isinstance(found, list) and len(found) > 1:
            reason = f"{len(found)} tracks make {len(found)} sequences; set use_programs for one"
            return Encoded(None, exact=False, reason=reason)
        ids = _ids(tokenizer, found)
        again = score_of(tokenizer, as_lists(ids), score)
    except Exception as error:  # a file that it fails on is not one to end a run
        return Encoded(None, exact=False, reason=_failure(tokenizer, error))
    lost = _lost(tokenizer, score, again)
    if lost:
        return Encoded(None, exact=False, reason=lost)
    reason = _rounded(events, read(again.dumps_midi()))
    return Encoded(ids, exact=not reason, reason=reason)


def _failure(tokenizer: Any, error: Exception) -> str:
    """Return in one sentence what MidiTok fails on."""
    name = f"MidiTok's {type(tokenizer).__name__}"
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return f"{name} has no token {error.args[0]} in this configuration"
    return f"{name} fails on the file: {named(error)}"


def named(error: Exception) -> str:
    """Return an error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def checked(tokenizer: Any, ids: Iterable[Any]) -> list[Any]:
    """Return ids as plain numbers, or as lists of them, one of each vocabulary.

    Raises:
        ValueError: If they are neither, or a number is not in its vocabulary.
    """
    if not tokenizer.is_multi_voc:
        size = max(vocabulary_of(tokenizer).values()) + 1
        return list(whole_ids(ids, size).tolist())
    sizes = [max(part.values()) + 1 for part in tokenizer.vocab]
    allowed = f"ids must be a list of lists of at most {len(sizes)} numbers, one a vocabulary"
    if not _is_list(ids):
        raise ValueError(f"{allowed}, got {reprlib.repr(ids)}")
    rows = []
    for place, row in enumerate(ids):
        numbers = list(row) if _is_list(row) else []
        if not 0 < len(numbers) <= len(sizes):
            raise ValueError(f"{allowed}, got {reprlib.repr(row)} in place {place}")
        rows.append([whole_ids([n], size).item() for n, size in zip(numbers, sizes, strict=False)])
    return rows


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


def _ids(tokenizer: Any, found: Any) -> Ids | list[Ids]:
    """Return the ids of a sequence, or of the only one."""
    first = found[:1] if isinstance(found, list) else [found]
    ids = first[0].ids if first else []
    if tokenizer.is_multi_voc:
        return [np.array(row, np.uint16) for row in ids]
    return np.array(ids, np.uint16)


def score_of(tokenizer: Any, ids: list[Any], like: Any = None) -> Any:
    """Decode ids; one sequence a track needs to be told whose, from a score or the tokens."""
    if not ids:
        return Score(tokenizer.time_division)
    if tokenizer.one_token_stream:
        return tokenizer.decode(ids)
    if like is not None:
        is_drum = bool(like.tracks) and like.tracks[0].is_drum
        program = like.tracks[0].program if like.tracks else 0
    else:
        names = {id_: name for name, id_ in vocabulary_of(tokenizer).items()}
        rows = ids if not tokenizer.is_multi_voc else [row[0] for row in ids]
        is_drum = any("Drum" in names.get(id_, "") for id_ in rows)
        program = 0
    return tokenizer.decode([ids], programs=[(program, is_drum)])


def _lost(tokenizer: Any, score: Any, again: Any) -> str:
    """Return what MidiTok did not give back of the notes that it encoded; empty if nothing."""
    wanted, found = (_notes(tokenizer, each) for each in (score, again))
    if wanted == found:
        return ""
    kept = sum(min(count, found.get(note, 0)) for note, count in wanted.items())
    notes, others = sum(wanted.values()), sum(found.values()) - kept
    return f"of {notes} notes that were encoded {kept} come back, and {others} others"


def _notes(tokenizer: Any, score: Any) -> Counted:
    """Count the notes of a score by all that the tokenizer encodes of them."""
    config, rounded = tokenizer.config, ROUNDED.get(type(tokenizer).__name__)
    has_velocity = config.use_velocities and rounded != "velocity"
    has_duration = config.using_note_duration_tokens and rounded != "duration"
    counted: Counted = {}
    for track in score.tracks:
        who = -1 if track.is_drum else track.program
        timed = has_duration and who in config.use_note_duration_programs
        for note in track.notes:
            key = (
                who,
                # Scores of two divisions: in 1/1e6 of a quarter note.
                round(note.time * 1e6 / score.ticks_per_quarter),
                note.pitch,
                note.velocity if has_velocity else 0,
                round(note.duration * 1e6 / score.ticks_per_quarter) if timed else 0,
            )
            counted[key] = counted.get(key, 0) + 1
    return counted


def _rounded(events: Events, again: Events) -> str:
    """Return which kinds of events come back otherwise than they are in the file."""
    kinds = ("notes", "tempos", "signatures", "keys", "controls", "bends")
    other = [kind for kind in kinds if _said(events, kind) != _said(again, kind)]
    return f"decoding gives other {', '.join(other)}" if other else ""


def _said(events: Events, kind: str) -> list[tuple[float, ...]]:
    """Return events in quarter notes, with programs for tracks, in an order of their own."""
    timed = 5 if kind == "notes" else 1
    rows = []
    for row in getattr(events, kind).tolist():
        values = [float(value) for value in row]
        values[0] /= events.ticks_per_quarter
        if timed == len(row):
            values[-1] /= events.ticks_per_quarter
        if kind in ("notes", "controls", "bends"):
            program, is_drum = events.instruments[row[1]]
            values[1] = -1 if is_drum else program
        rows.append(tuple(values))
    return sorted(rows)
