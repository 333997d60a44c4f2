"""Where a push goes, and with which token; names that the Hub would refuse are refused here."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from huggingface_hub import get_token

from sousa.cards.failures import NO_TOKEN, HubError

MAIN: Final = "main"

PULL_REQUEST: Final = re.compile(r"refs/pr/\d+")

NAME: Final = re.compile(r"(?!.*(--|\.\.))(?!.*\.git$)[A-Za-z0-9_]([\w.-]*\w)?", re.ASCII)
"""What the Hub allows before and after the slash, and `huggingface_hub` checks."""

MOST_LETTERS: Final = 96

MESSAGE: Final = "Push a dataset with sousa"
"""Of commits, unless another is given."""

COMMIT: Final = re.compile(r"[0-9a-f]{40}")

REF: Final = re.compile(r"(?![-/.])(?!.*(\.\.|//|@\{|\.lock$))[\w./+@-]+(?<![/.])", re.ASCII)
"""Names that git allows for branches and tags, without the odd ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a push goes.

    Attributes:
        repo: `org/name`.
        private: Whether the repository is made private when it is new.
        revision: Branch; made when it is not there.
        create_pr: Open a pull request instead of writing to the branch.
        tag: Name for the pushed commit, once it is verified.
        message: Of the commits.
        token: Of the Hub; None takes what `huggingface_hub` finds.
    """

    repo: str
    private: bool = False
    revision: str = MAIN
    create_pr: bool = False
    tag: str | None = None
    message: str = MESSAGE
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse names that the Hub would refuse.

        Raises:
            ValueError: If one of them is not allowed.
        """
        check_names(self.repo, self.revision, self.tag)
        if self.token is not None and not _is_token(self.token):
            raise ValueError("the token must be one word of ASCII letters, is something else")


def check_names(repo: str, revision: str, tag: str | None = None) -> None:
    """Refuse names that the Hub would refuse.

    Raises:
        ValueError: If one of them is not allowed.
    """
    owner, _, name = repo.partition("/")
    if not (NAME.fullmatch(owner) and NAME.fullmatch(name)) or len(repo) > MOST_LETTERS:
        raise ValueError(
            "the name of a dataset must be org/name, of letters, digits and single '-', '_', '.' "
            f"between them, at most {MOST_LETTERS} in all; got {repo!r}"
        )
    for what, ref in (("revision", revision), ("tag", tag)):
        if ref is None or (what == "revision" and PULL_REQUEST.fullmatch(ref)):
            continue
        if not REF.fullmatch(ref) or ref == "HEAD" or ref.startswith("refs/"):
            raise ValueError(f"{what} must be a name such as v1.0, got {ref!r}")
    if COMMIT.fullmatch(revision):
        raise ValueError(f"revision must be a branch to write to, got the commit {revision}")


def read_token(file: Path | None) -> str:
    """Return the token in a file, or else what `huggingface_hub` finds.

    Raises:
        HubError: If there is none.
        OSError: If the file cannot be read.
        ValueError: If the file does not hold one token.
    """
    if file is None:
        token = get_token()
        if token is None:
            raise HubError(NO_TOKEN)
        if not _is_token(token):
            raise ValueError("the token in HF_TOKEN must be one word of ASCII letters")
        return token
    try:
        token = file.read_text(encoding="ascii").strip()
    except UnicodeDecodeError:
        token = ""
    except FileNotFoundError:  # whose name may be the token itself: not shown
        raise ValueError("the file of the token is not there; give the path of one") from None
    if not _is_token(token):
        raise ValueError(f"{file} must hold one token and nothing else")
    return token


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text.split()) == 1
