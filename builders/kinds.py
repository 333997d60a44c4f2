"""What a dataset was made of, by the plan in its manifest, and the columns that follow from it."""

from collections.abc import Mapping
from typing import Any, Final

from sousa.builders import audio_schema, midi_schema, sousa_schema
from sousa.builders.schema import Column, columns

BUILT: Final = "built"
"""Rendered from nothing; what no `import` in the plan means."""

KINDS: Final = (BUILT, midi_schema.KIND, sousa_schema.KIND, audio_schema.KIND)


def kind_of(plan: Mapping[str, Any]) -> str:
    """Return one of `KINDS`; a plan that says something else is read as a built one."""
    stated = plan.get("import")
    return stated if stated in KINDS else BUILT


def declared_columns(
    plan: Mapping[str, Any], config: str, tokens: tuple[Column, ...]
) -> tuple[Column, ...]:
    """Return the columns of one config, in stored order.

    Args:
        plan: That of the manifest.
        config: Name of the config.
        tokens: Its token columns, and those that say whether they are exact.
    """
    if kind_of(plan) == midi_schema.KIND:
        return midi_schema.columns(config, tokens)
    if kind_of(plan) == sousa_schema.KIND:
        return sousa_schema.columns(config, tokens)
    if kind_of(plan) == audio_schema.KIND:
        return audio_schema.columns(config, plan)
    return columns(config, tokens)
