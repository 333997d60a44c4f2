"""A dataset folder to what a repository shall hold: its files, and the card for that place."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sousa.cards import card, rules
from sousa.cards.card import Card
from sousa.cards.edits import Written, merged, written
from sousa.cards.failures import HubError
from sousa.cards.listing import (
    MANIFEST,
    README,
    LocalFile,
    Progress,
    configs_in,
    differences,
    files_in,
    measured,
    measuring,
    narrowed,
    read_manifest,
)
from sousa.cards.remote import Remote, script_of
from sousa.cards.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a repository shall hold.

    Attributes:
        files: All files, the card and the manifest among them.
        findings: What is wrong with them, a line each.
        covers: Whether a path there would be this dataset's.
        configs: Those that the card describes.
        page: The card.
        recompose: Makes the card anew, of some configs of the folder, and with other things that
            people wrote unless that is None.
        manifest: Of all of the folder.
        is_part: Whether configs of the folder are left out.
    """

    files: tuple[LocalFile, ...]
    findings: tuple[str, ...] = ()
    covers: Callable[[str], bool] = lambda _: True
    configs: tuple[str, ...] = ()
    page: Card | None = None
    recompose: Callable[[Sequence[str], Written | None], Card] | None = None
    manifest: Mapping[str, Any] | None = None
    is_part: bool = False


def chosen_in(folder: Path, configs: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the names of the configs of a folder that are published.

    Args:
        folder: The dataset's.
        configs: Those that are wanted; all if None.

    Raises:
        FileNotFoundError: If the folder is not there.
        ValueError: If there is no such config.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"expected a folder with a dataset, got {folder}")
    there = configs_in(folder)
    chosen = there if configs is None else tuple(dict.fromkeys(configs))
    missing = [name for name in chosen if name not in there]
    if (missing or not chosen) and there:
        allowed = ", ".join(there) or "none"
        raise ValueError(
            f"configs must be of those in {folder} ({allowed}); got {', '.join(missing) or 'none'}"
        )
    return chosen


def prepare(
    folder: str | Path,
    repo: str,
    *,
    configs: Sequence[str] | None = None,
    check: Callable[[Path], Sequence[str]] = lambda _: (),
    bar: Callable[[int], AbstractContextManager[Progress]] = lambda _: nullcontext(lambda _: None),
) -> Contents:
    """Read what a folder has to publish. The card is made anew, for its place on the Hub.

    Args:
        folder: The dataset's.
        repo: `org/name`.
        configs: The configs that are published; all if None.
        check: Returns what is wrong with a folder besides what its manifest can prove.
        bar: Makes, of the bytes that are read in all, what is told of those that are done.

    Raises:
        FileNotFoundError: If the folder holds no dataset.
        OSError: If a file is damaged, or a link leaves the folder.
        ValueError: If there is no such config.
    """
    root = Path(folder)
    there, chosen = configs_in(root), chosen_in(root, configs)

    def compose(configs: Sequence[str], keep: Written | None = None) -> Card:
        return card.compose(root, place=repo, configs=configs, keep=keep)

    listed = files_in(root, set(there) - set(chosen))
    read = {path: file for path, file in listed.items() if not card.is_ours(path)}
    total = sum(file.stat().st_size for file in read.values())
    with bar(total) as progress, measuring(read, progress) as hashed:
        page = compose(chosen)  # meanwhile
        files = {file.path: file for file in hashed}
    files |= {file.path: file for file in measured(page.files)}
    whole = manifest = read_manifest(root)
    if manifest is not None and set(chosen) != set(there):
        manifest = narrowed(manifest, chosen)
        content = json.dumps(manifest, indent=1).encode() + b"\n"
        files[MANIFEST] = LocalFile.of(MANIFEST, content)
    found = tuple(files.values())
    findings = [*differences(found, manifest), *check(root), *_of_repository(found, repo)]
    findings += [f"{README}: {line}" for line in rules.check(page.text, listed=files.keys())]
    return Contents(
        files=found,
        findings=tuple(findings),
        configs=chosen,
        page=page,
        recompose=compose,
        manifest=whole,
        is_part=set(chosen) != set(there),
    )


def _of_repository(files: Sequence[LocalFile], repo: str) -> Iterator[str]:
    """Yield what would keep people from loading the repository."""
    script = script_of(repo)
    if any(file.path == script for file in files):
        yield f"{script}: `load_dataset` takes it for a loading script and refuses the dataset"


def refuse(contents: Contents, what: str, advice: str) -> None:
    """Refuse contents with faults, in one line.

    Raises:
        ValueError: If there are any.
    """
    found = contents.findings
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ValueError(f"{what} is not fit to be published: {found[0]}{more}; {advice}")


def with_edits(contents: Contents, target: Target, remote: Remote, *, force: bool) -> Contents:
    """Return contents whose card has what people wrote into the one on the Hub.

    Raises:
        HubError: If they wrote there and here, and not the same.
    """
    page, recompose = contents.page, contents.recompose
    if README not in remote.contents or page is None or recompose is None:
        return contents
    try:
        here, there = written(page.text), written(remote.contents[README].decode("utf-8"))
    except ValueError as error:
        if force:
            return contents
        raise HubError(f"{README} of {target.repo}: {error}; mend it, or give --force") from error
    keep, differing = merged(here, there, page.usual)
    found = [*([] if there.is_ours else ["the whole page"]), *differing]
    if found and not force:
        raise HubError(
            f"{README} of {target.repo} was written by hand: {found[0]} is otherwise there than "
            "here; make both the same, or give --force for what is here"
        )
    if keep == replace(here, is_ours=True):
        return contents
    new = recompose(contents.configs, keep)
    files = [file for file in contents.files if file.path not in new.files]
    files += measured(new.files)
    bad = rules.check(new.text, listed={file.path for file in files})
    if bad and not force:
        raise HubError(f"{README} of {target.repo}: {bad[0]}; mend it, or give --force")
    return replace(contents, files=tuple(files))
