"""What the Hub refuses in the front matter of a dataset card."""

import itertools
import re
from typing import Final

import yaml  # type: ignore[import-untyped]  # has no types of its own

LICENSES: Final = frozenset(
    {"apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "odc-by"}
    | {"unknown", "other"}
)
"""Those of the Hub's list that we may meet."""

STEPS: Final = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
SIZES: Final = frozenset(
    ["n<1K", "n>1T", *(f"{low}<n<{high}" for low, high in itertools.pairwise(STEPS))]
)


def card_errors(text: str) -> list[str]:
    """Return what is wrong with a README.md; a card without front matter is allowed."""
    found = re.match(r"---\s*\n(.*?)\n?---\s*(?:\n|$)", text, re.DOTALL)
    if found is None:
        return []
    try:
        fields = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        return [f"Invalid YAML: {str(error).splitlines()[0]}"]
    if fields is None:
        return []
    if not isinstance(fields, dict):
        return ["the metadata must be an object"]
    return _field_errors(fields)


def _field_errors(fields: dict[str, object]) -> list[str]:
    errors = []
    for name, allowed in (("license", LICENSES), ("size_categories", SIZES)):
        given = fields.get(name, [])
        values = given if isinstance(given, list) else [given]
        if not all(value in allowed for value in values):
            errors.append(f'"{name}" must be one of [{", ".join(sorted(allowed))}]')
    if not isinstance(fields.get("pretty_name", ""), str):
        errors.append('"pretty_name" must be a string')
    configs = fields.get("configs", [])
    if not isinstance(configs, list):
        return [*errors, '"configs" must be an array']
    names = [config.get("config_name") for config in configs if isinstance(config, dict)]
    if len(names) < len(configs) or not all(isinstance(name, str) for name in names):
        errors.append('"configs[].config_name" is required')
    elif len(set(names)) < len(names):
        errors.append('"configs" must not contain the same config_name twice')
    return errors
