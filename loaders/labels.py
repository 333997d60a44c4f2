"""Label maps: fixed by the schema, never by the rows that happen to be there."""

from collections.abc import Mapping
from typing import Final

from sousa.builders.schema import METADATA, RUDIMENTS, SKILL_TIERS, Label

SKILL_TIER_LABELS: Final = list(SKILL_TIERS)
"""Names of the four tiers; a tier's id is its position."""

SKILL_TIER_TO_ID: Final = {name: index for index, name in enumerate(SKILL_TIERS)}
"""Id of each tier."""

ID_TO_SKILL_TIER: Final = dict(enumerate(SKILL_TIERS))
"""Name of each tier id."""

RUDIMENT_LABELS: Final = list(RUDIMENTS)
"""Slugs of the 40 rudiments, in the order of the Percussive Arts Society's sheet."""

RUDIMENT_TO_ID: Final = {slug: index for index, slug in enumerate(RUDIMENTS)}
"""Id of each rudiment."""

ID_TO_RUDIMENT: Final = dict(enumerate(RUDIMENTS))
"""Slug of each rudiment id."""

CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    column.name: column.type.names for column in METADATA if isinstance(column.type, Label)
}
"""Names of the classes of every label column, in the order of their ids."""
