"""A dataset folder to its card: YAML that `datasets` and the Hub read, and a page for people.

`compose` makes all files of a card, `write` puts them into the folder. What people wrote is kept:
prose in its marked places, and the keys of the YAML that are not counted from the shards.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sousa.cards import figures
from sousa.cards.croissant import croissant
from sousa.cards.edits import Written
from sousa.cards.facts import Facts, facts
from sousa.cards.front_matter import front_matter, load, split_card
from sousa.cards.note_samples import roll
from sousa.cards.page import NOTES, page, summary
from sousa.cards.prose import prose, with_prose
from sousa.cards.provenance import BUILT, SNARE, read_manifest
from sousa.cards.recipe import citation
from sousa.cards.samples import Sample, samples

PLACE: Final = "org/sousa"
"""Stands for the dataset's id on the Hub until it is known."""

README: Final = "README.md"
CROISSANT: Final = "croissant.json"
EXTRAS: Final = re.compile(r"card/(sample-\d+\.(flac|wav|ogg)|(samples|notes|scores)\.svg)")
"""Files of a card that not every card has."""


@dataclass(frozen=True, slots=True)
class Card:
    """All that describes a dataset.

    Attributes:
        files: Content of each file, by its path in the folder.
        homeless: Names of prose that the page has no place for; it stands at its end.
        usual: The YAML as it is when nobody has changed it.
    """

    files: Mapping[str, bytes]
    homeless: tuple[str, ...] = ()
    usual: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Content of README.md."""
        return self.files[README].decode("utf-8")


def is_ours(path: str) -> bool:
    """Return whether a path in a dataset's folder is one that a card is written to."""
    return path in (README, CROISSANT) or EXTRAS.fullmatch(path) is not None


def write(folder: str | Path, *, place: str = PLACE, overwrite: bool = False) -> Card:
    """Write the card of a dataset folder, from what its shards hold.

    Args:
        folder: The dataset's.
        place: Its id on the Hub.
        overwrite: Replace a README.md that has no marks, or marks that do not pair up.

    Raises:
        FileExistsError: If README.md was made by somebody else.
        FileNotFoundError: If the folder holds no shards.
        OSError: If a shard is damaged, or the card cannot be written.
        ValueError: If `manifest.json` is no manifest, or marks or YAML of README.md are broken.
    """
    root = Path(folder)
    card = compose(root, place=place, overwrite=overwrite)
    (root / "card").mkdir(exist_ok=True)
    for stale in (root / "card").iterdir():
        if EXTRAS.fullmatch(f"card/{stale.name}") and f"card/{stale.name}" not in card.files:
            stale.unlink()
    for name, content in card.files.items():
        path = root / name
        _replace(path, content)
    if not any((root / "card").iterdir()):
        (root / "card").rmdir()
    return card


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(f"{path} cannot be written: {error.strerror}") from error


def compose(
    folder: str | Path,
    *,
    place: str = PLACE,
    configs: Collection[str] | None = None,
    overwrite: bool = False,
    keep: Written | None = None,
) -> Card:
    """Return the card of a dataset folder, without writing it.

    Args:
        folder: The dataset's.
        place: Its id on the Hub.
        configs: Describe only these; None is all.
        overwrite: Leave out what a README.md holds that has no marks, or broken ones.
        keep: What people wrote, instead of what README.md holds.

    Raises:
        FileExistsError: If README.md was made by somebody else.
        FileNotFoundError: If the folder holds no shards, or not those configs.
        OSError: If a shard is damaged.
        ValueError: If `manifest.json` is no manifest, or marks or YAML of README.md are broken.
    """
    root = Path(folder)
    if keep is None:
        by_hand, written = kept(root / README, overwrite=overwrite)
    else:
        by_hand, written = dict(keep.yaml), dict(keep.prose)
    found, manifest = facts(root, configs), read_manifest(root)
    clips = samples(root, found)
    usual = _title(found, place)
    title = str(by_hand.get("pretty_name") or usual)
    metadata = load(yaml := front_matter(found, title=title, kept=by_hand))
    drawn = _figures(root, found, clips)
    made = page(found, clips, metadata, place=place, drawn=drawn)
    body, homeless = with_prose(made, written)
    cite = citation(found.made, title, place) if found.made.kind is BUILT else ""
    about = summary(found)
    files = {
        CROISSANT: croissant(found, metadata, manifest, place=place, about=about, cite=cite),
        **drawn,
        README: f"---\n{yaml}---\n\n{body}",
    }
    heard = {f"card/{clip.name}": clip.content for clip in clips}
    usual_yaml = load(front_matter(found, title=usual))
    encoded = {name: text.encode("utf-8") for name, text in files.items()}
    return Card(heard | encoded, homeless, usual_yaml)


def _title(found: Facts, place: str) -> str:
    """Return the title of a dataset that nobody gave one."""
    known = SNARE if found.labels.rudiments else found.made.kind.title
    return known or place.rpartition("/")[2]


def kept(readme: Path, *, overwrite: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a card keeps of the README.md that is there: its YAML, and prose by name.

    Raises:
        FileExistsError: If it has no marks and `overwrite` is not set.
        ValueError: If its marks or its YAML are broken and `overwrite` is not set.
    """
    if not readme.exists():
        return {}, {}
    try:
        yaml, body = split_card(readme.read_text("utf-8"))
        found = load(yaml), prose(body)
    except ValueError as error:
        if overwrite:
            return {}, {}
        raise ValueError(
            f"{readme}: {error}; mend it, or replace it with `sousa card "
            f"{readme.parent} --overwrite`"
        ) from error
    if found[1] or not body.strip():
        return found
    if overwrite:
        return {}, {}
    raise FileExistsError(
        f"{readme} was not made by `sousa card` (it has no prose marks); move it away, or replace "
        f"it with `sousa card {readme.parent} --overwrite`"
    )


def _figures(root: Path, found: Facts, clips: Sequence[Sample]) -> dict[str, str]:
    drawn = {}
    if clips:
        drawn["card/samples.svg"] = figures.clips(clips)
    if not clips and (notes := roll(root, found)):
        drawn[NOTES] = figures.notes(notes)
    if found.labels.overall:
        drawn["card/scores.svg"] = figures.scores(found.labels.overall)
    return drawn
