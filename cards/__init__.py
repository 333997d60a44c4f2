"""Describe a dataset and publish it.

In reading order, to a card: `provenance` (where the data come from), `label_columns`,
`label_facts`, `token_facts` and `facts` (what the shards hold), `samples` and `note_samples` (what
to hear and see), `markdown`, `column_tables`, `tables`, `shapes`, `figures`, `recipe` (commands),
`page_values`, `page`, `template.md` and `kind_*.md` (what people read), `front_matter` (what the
Hub reads), `croissant` (what other machines read), `prose` (what people wrote), `card` (all of it);
`rules` judges the outcome before it is sent.

To the Hub: `target` and `rights` (where to, and whether the token may), `listing` and `contents`
(what there is to send), `remote` (what the Hub has), `beside` and `edits` (its other configs, and
what people wrote there), `difference`, `transfer`, `batches` and `upload`, `verify`, `failures`
(what went wrong, in a line), `push` (all of it in order); `audio_cells`, `inferred`, `prepared` and
`splits` do the same with splits that a user prepared.

To a page to look at and listen to: `report_fields` (columns and cells), `report_rows`,
`report_bins` and `report_tally` (what the rows hold), `report_sound`, `report_events` and
`report_clips` (clips in full), `report_drawing` and `report_plots` (figures), `report` with its
.html, .css and .js (all of it), `report_commands`.

`info` tells a folder or a Hub id in one screen. `commands` is the command line.
"""

from typing import Any

__all__ = ["push_splits"]


def __getattr__(name: str) -> Any:
    """Import what pushes splits when it is asked for: describing a folder does not need it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sousa.cards import splits

    return getattr(splits, name)
