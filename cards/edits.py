"""What people wrote into a card on the Hub, and what a folder's own card has, to one of both.

Prose in marked places, and keys of the YAML that are not counted from the shards. Where only one
side has something of its own, it stays; where both have, somebody must choose.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sousa.cards.front_matter import COUNTED, load, split_card
from sousa.cards.prose import prose


@dataclass(frozen=True, slots=True)
class Written:
    """What a card has that people wrote, or may have written.

    Attributes:
        yaml: Keys of its YAML, without those that are counted.
        prose: Texts of its marked places, by name.
        is_ours: Whether the page has marked places, or nothing at all.
    """

    yaml: Mapping[str, Any] = field(default_factory=dict)
    prose: Mapping[str, str] = field(default_factory=dict)
    is_ours: bool = True


def written(card: str) -> Written:
    """Return what people wrote into a card.

    Raises:
        ValueError: If its YAML cannot be read, or its marks do not pair up.
    """
    yaml, page = split_card(card)
    found = {key: value for key, value in load(yaml).items() if key not in COUNTED}
    places = prose(page)
    return Written(found, places, bool(places) or not page.strip())


def merged(here: Written, there: Written, usual: Mapping[str, Any]) -> tuple[Written, list[str]]:
    """Return what both sides wrote, and the places where they differ; there, `here` is taken.

    Args:
        here: Of the folder's card.
        there: Of the card on the Hub.
        usual: Values that keys of the YAML have when nobody changed them.
    """
    yaml, keys = _one_of_both(here.yaml, there.yaml, lambda k, v: v is None or v == usual.get(k))
    texts, places = _one_of_both(here.prose, there.prose, lambda _, text: not (text or "").strip())
    return Written(yaml, texts), [*keys, *(f"the marked place {name!r}" for name in places)]


def _one_of_both(
    here: Mapping[str, Any], there: Mapping[str, Any], is_usual: Callable[[str, Any], bool]
) -> tuple[dict[str, Any], list[str]]:
    differing = [
        key
        for key in _differing(here, there)
        if not is_usual(key, here.get(key)) and not is_usual(key, there[key])
    ]
    taken = {
        key: there[key]
        for key in _differing(here, there)
        if is_usual(key, here.get(key)) and not is_usual(key, there[key])
    }
    return {**here, **taken}, differing


def _differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is otherwise there, but for blanks at the end."""
    return (key for key, value in there.items() if _bare(value) != _bare(here.get(key)))


def _bare(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
