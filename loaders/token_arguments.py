"""What each argument of a `TokenDataset` becomes."""

from pathlib import Path
from typing import Any

from sousa.loaders.samplers import whole
from sousa.loaders.token_augment import Augmentation
from sousa.loaders.token_rules import Rules, rules_of
from sousa.loaders.token_vocabulary import Vocabulary


def chosen_rules(
    vocabulary: Vocabulary | None,
    window: tuple[int, str, int | None, str],
    bos: int | None,
    eos: int | None,
    prefix: int | None,
) -> Rules:
    """Return how rows are cut; `window` is the longest sequence, mode, stride, and where to cut.

    Raises:
        ValueError: If an argument is not as `TokenDataset` says.
    """
    most, mode, stride, cut = window
    if most < 4 and mode != "truncate":
        raise ValueError(f"max_seq_len must be at least 4 with mode={mode!r}, got {most}")
    first = None if prefix is None else whole(prefix, "prefix", 0)
    if first is not None and first > most // 2:
        raise ValueError(f"prefix must be at most half of max_seq_len, got {first} of {most}")
    return rules_of(
        vocabulary,
        most=most,
        mode=mode,
        stride=None if stride is None else whole(stride, "stride", 1),
        cut=cut,
        bos=special_id(vocabulary, bos, "BOS"),
        eos=special_id(vocabulary, eos, "EOS"),
        prefix=first,
    )


def check_windows(mode: str, stride: int | None, target_column: str | None) -> None:
    """Refuse options that do not go with a mode.

    Raises:
        ValueError: If one does not.
    """
    if stride is not None and mode != "window":
        raise ValueError(f"stride= is for mode='window', got mode={mode!r}: leave it out")
    if target_column is not None and mode != "truncate":
        raise ValueError(f"target_column= needs whole rows: mode='truncate', got {mode!r}")


def check_no_sound(**options: object) -> None:
    """Refuse options of `create_dataloader` that have no meaning for tokens.

    Raises:
        ValueError: If one is given.
    """
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{given[0]}= has no meaning for a TokenDataset: leave it out")


def check_augment(augment: Augmentation | None, vocabulary: Vocabulary | None) -> None:
    """Refuse an augmentation for other tokens.

    Raises:
        ValueError: If the tokenizers differ.
    """
    if augment is None:
        return
    ours = None if vocabulary is None else vocabulary.hash
    if augment.vocabulary.hash != ours:
        raise ValueError(
            f"augment= is for the tokens of {augment.vocabulary.name}, these are another "
            "tokenizer's: make it with this dataset's own tokenizers/<column>.json"
        )


def chosen_vocabulary(stored: Vocabulary | None, given: Any, column: str) -> Vocabulary | None:
    """Return the tokenizer that is stored with data, or that a user names.

    Raises:
        ValueError: If the two are not the same.
    """
    if given is None:
        return stored
    named = given if isinstance(given, Vocabulary) else Vocabulary.read(Path(given))
    if stored is not None and stored.hash != named.hash:
        raise ValueError(
            f"column {column} was made by the tokenizer {stored.name} (hash {stored.hash[:12]}), "
            f"not by {named.name} (hash {named.hash[:12]}): its ids mean something else"
        )
    return named


def special_id(vocabulary: Vocabulary | None, wanted: int | None, name: str) -> int | None:
    """Return the id of BOS or EOS, None where none is wanted.

    Raises:
        ValueError: If it is the tokenizer's own, and there is none, or no id of it.
    """
    if wanted is None or wanted is False:
        return None
    if wanted is True:
        if vocabulary is None:
            raise ValueError(f"{name.lower()}=True needs a tokenizer: pass tokenizer=, or an id")
        return vocabulary.special(name)
    id_ = whole(wanted, name.lower(), 0)
    if vocabulary is not None and id_ >= vocabulary.size:
        raise ValueError(f"{name.lower()} must be an id below {vocabulary.size}, got {id_}")
    return id_
