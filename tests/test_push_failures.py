"""Whatever goes wrong on the way to the Hub is one line that says what to do, or is tried again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hub import EXPIRED, OWNER, READER, SCOPED, STRANGER, Hub
from hub_client import PLAIN_UPLOADS_WARN, go_offline, without_xet
from hub_faults import EXPIRED as EXPIRED_STATUS
from hub_faults import QUOTA, SERVER_ERROR, UNAVAILABLE, Cut, Fault, Status, rate_limit
from hub_store import Account
from huggingface_hub.errors import HfHubHTTPError
from pushing import REPO, push, pushed_to, stored

from sousa.builders import cli
from sousa.cards import failures
from sousa.cards.failures import NETWORK_ERROR

pytest_plugins = ["hub_fixtures"]
pytestmark = PLAIN_UPLOADS_WARN


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the last line of what a command complained about; progress may be before it."""
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if line.startswith("sousa push: ")]
    assert shown.err.splitlines()[-1:] == lines
    for account in (OWNER, READER, STRANGER, EXPIRED, SCOPED):
        assert account.token not in shown.err + shown.out
    return lines[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["drums"], "the name of a dataset must be org/name"),
        (["org/drums/more"], "the name of a dataset must be org/name"),
        (["org/dr ums"], "got 'org/dr ums'"),
        (["org/-drums"], "got 'org/-drums'"),
        (["org/a--b"], "got 'org/a--b'"),
        (["../drums"], "got '../drums'"),
        (["org/drums.git"], "got 'org/drums.git'"),
        (["org/" + "a" * 96], "at most 96 in all"),
        (["org/drums", "--revision", "a..b"], "revision must be a name such as v1.0, got 'a..b'"),
        (["org/drums", "--revision", "0" * 40], "revision must be a branch to write to"),
        (["org/drums", "--tag", "a b"], "tag must be a name such as v1.0, got 'a b'"),
        (["org/drums", "--token", OWNER.token], "put the token in a file, and give --token-file"),
        (["org/drums", "--revision", "HEAD"], "revision must be a name such as v1.0, got 'HEAD'"),
        (["org/drums", "--revision", "refs/heads/x"], "revision must be a name such as v1.0"),
        (["org/drums", "--tag", "refs/pr/1"], "tag must be a name such as v1.0, got 'refs/pr/1'"),
        (["org/drums", "--configs", ""], "names are needed, such as audio,midi_only; got ''"),
        (["org/drums", "--tok", OWNER.token], "unrecognized arguments: --tok hf_***"),
        (["org/drums", OWNER.token], "unrecognized arguments: hf_***"),
        (["org/drums", f"--tok={OWNER.token}"], "unrecognized arguments: --tok=hf_***"),
        (["org/drums", "--token-fil", "x"], "unrecognized arguments: --token-fil x"),
    ],
)
def test_a_name_that_is_not_allowed_is_a_wrong_command(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    repo, *options = words
    assert push(folder, *options, repo=repo) == 2
    line = refusal(capsys)
    assert message in line
    assert line.endswith("see `sousa push --help`")


def test_a_folder_or_config_that_is_not_there_is_named(
    hub: Hub, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert push(tmp_path / "nowhere") == 1
    assert "expected a folder with a dataset" in refusal(capsys)
    (tmp_path / "empty").mkdir()
    assert push(tmp_path / "empty") == 1
    line = refusal(capsys)
    assert "no dataset in" in line
    assert cli.main(["card", str(tmp_path / "empty")]) == 1
    assert capsys.readouterr().err == line.replace("sousa push", "sousa card") + "\n"
    for command in (["push", "", REPO], ["card", ""], ["info", ""]):
        assert cli.main(command) == 2
        assert "is needed, got ''; see" in capsys.readouterr().err
    (folder / "README.md").write_text("# Mine\n")
    assert push(folder) == 1
    assert f"replace it with `sousa card {folder} --overwrite`" in refusal(capsys)
    (folder / "README.md").unlink()
    assert push(folder, "--configs", "audio") == 1
    assert "(labels_only); got audio" in refusal(capsys)
    assert {request.path for request in hub.requests()} == {"/api/whoami-v2"}


def test_a_token_comes_from_a_file(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    file = tmp_path / "token"
    with pushed_to(monkeypatch, tmp_path, account=None) as hub:
        assert push(folder) == 1
        assert "no token for the Hub: log in with `hf auth login`" in refusal(capsys)
        for content in ("", f"{OWNER.token} {READER.token}", "\u266a"):
            file.write_text(content)
            assert push(folder, "--token-file", str(file)) == 1
            assert "must hold one token and nothing else" in refusal(capsys)
        file.write_text(f"{OWNER.token}\n")
        assert push(folder, "--token-file", str(file)) == 0
        assert OWNER.token not in "".join(capsys.readouterr())
        assert stored(hub)
    assert push(folder, "--token-file", OWNER.token) == 1
    assert "the file of the token is not there" in refusal(capsys)


@pytest.mark.parametrize(
    ("account", "message"),
    [
        (EXPIRED, "the Hub refused the token: it is wrong, expired or revoked"),
        (READER, "the token can only read; make one that can write"),
        (STRANGER, "the token may not write to org/drums: ask its owner"),
        (SCOPED, "the fine-grained token has no permission to write to org/drums; give it"),
    ],
)
def test_a_token_that_will_not_do_is_refused(
    account: Account,
    message: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    with pushed_to(monkeypatch, tmp_path, account) as hub:
        for words in ([], ["--dry-run"]):
            assert push(folder, *words) == 1
            line = refusal(capsys)
            assert message in line
            assert "create_pr=" not in line
        assert hub.waits == []
        assert {request.path for request in hub.requests()} == {"/api/whoami-v2"}
        if account is STRANGER:
            hub.create(REPO)
            assert push(folder) == 1
            assert message in refusal(capsys)
            assert stored(hub) == {}


def test_a_token_that_may_write_to_one_repository_or_to_those_of_one_owner_will_do(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    with pushed_to(monkeypatch, tmp_path, SCOPED) as hub:
        assert push(folder, repo="ada/drums") == 0
        assert push(folder, repo="org/hats") == 1  # which is not there, and which it may not make
        assert "the token may not write to org/hats" in refusal(capsys)
        hub.create("org/hats")
        assert push(folder, repo="org/hats") == 0
        assert stored(hub, repo="org/hats").keys() == stored(hub, repo="ada/drums").keys()


@pytest.mark.parametrize(
    ("fault", "xet"),
    [
        (Fault(Cut("before"), path="whoami"), False),
        (Fault(UNAVAILABLE, path="/refs", times=3), False),
        (Fault(rate_limit(7), path="/repos/create"), False),
        (Fault(SERVER_ERROR, path="/preupload/", times=2), False),
        (Fault(Cut("receiving", 1000), path="/_lfs/"), False),
        (Fault(Cut("receiving", 1000), path="/xorbs/"), True),
        (Fault(SERVER_ERROR, path="/_cas/v./shards"), True),
        (Fault(SERVER_ERROR, path="/commit/", times=2), False),
        (Fault(Cut("before"), path="/commit/"), False),
        (Fault(Cut("after"), path="/commit/"), False),
        (Fault(UNAVAILABLE, path="/tree/"), False),
        (Fault(Cut("sending", 1000), method="GET", path="/resolve/.*parquet"), False),
    ],
    ids=lambda value: getattr(value, "path", None),
)
def test_what_may_pass_is_tried_again(
    hub: Hub,
    folder: Path,
    fault: Fault,
    xet: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    if not xet:
        without_xet(monkeypatch)
    hub.inject(fault)
    assert push(folder) == 0
    assert len(hub.commits(REPO, "main")) == 2
    if "whoami" in fault.path:
        assert hub.waits == [1.0]
    if "create" in fault.path:
        assert hub.waits == [7.0]
    told = [each.getMessage() for each in caplog.records if each.name == "sousa.cards"]
    slow = ["the Hub answered 429; trying again in 7 s"] if "create" in fault.path else []
    assert told == slow + ["the Hub answered 503; trying again in 4 s"] * (fault.path == "/refs")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(Cut("before"), times=None), "no connection to the Hub"),
        (Fault(Cut("before"), path="/commit/", times=None), "the same command goes on from here"),
        (Fault(UNAVAILABLE, path="/preupload/", times=None), "the Hub answered 503"),
        (Fault(QUOTA, path="/batch", times=None), "no room left on the Hub for org/drums"),
        (Fault(QUOTA, path="/commit/", times=None), "free some or get more"),
        (Fault(EXPIRED_STATUS, after=3, times=None), "the Hub refused the token"),
        (Fault(rate_limit(1), path="/refs", times=None), "the Hub asks to slow down"),
    ],
    ids=["cut", "cut-commit", "503", "quota-lfs", "quota-commit", "expired", "429"],
)
def test_what_does_not_pass_is_one_line_and_the_next_push_goes_on(
    hub: Hub,
    folder: Path,
    fault: Fault,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    without_xet(monkeypatch)
    hub.inject(fault)
    assert push(folder) == 1
    assert message in refusal(capsys)
    hub.heal()
    assert push(folder) == 0


@pytest.mark.parametrize(
    ("fault", "message", "tries"),
    [
        (Fault(QUOTA, path="/_cas/v./shards", times=None), "or its quota is used up", 0),
        (Fault(EXPIRED_STATUS, path="xet-write-token", times=None), "refused the token", 0),
        (Fault(UNAVAILABLE, path="/xorbs/", times=None), "the Hub answered 503", 5),
        (Fault(Cut("before"), path="/xorbs/", times=None), "no connection to the Hub", 5),
    ],
    ids=["quota", "expired", "503", "cut"],
)
def test_what_the_storage_refuses_is_one_line(
    hub: Hub,
    folder: Path,
    fault: Fault,
    message: str,
    tries: int,
    capsys: pytest.CaptureFixture[str],
):
    hub.inject(fault)
    assert push(folder) == 1
    assert message in refusal(capsys)
    assert len(hub.waits) == tries


def test_signatures_in_addresses_are_not_shown():
    line = "(GET https://bucket.example/file?X-Amz-Signature=abc) failed"
    shown = r"^no connection to the Hub .*example/file\) failed"
    with pytest.raises(failures.HubError, match=shown), failures.plainly(REPO):
        raise ConnectionError(line)


def test_what_the_hub_says_of_a_refused_write_is_said_in_our_words(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    """Where the token does not tell of itself that it may not."""
    words = "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"
    hub.create(REPO)
    hub.inject(Fault(Status(403, words), path="/preupload/", times=None))
    assert push(folder) == 1
    line = refusal(capsys)
    assert "the token may not write to org/drums: ask its owner for the right, propose" in line
    assert "--create-pr" in line
    assert "query" not in line


def test_names_of_the_other_kind_are_refused(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert push(folder, "--tag", "v1") == 0
    assert push(folder, "--tag", "main") == 1
    assert "has a branch main; choose another name for the tag" in refusal(capsys)
    assert push(folder, "--revision", "v1") == 1
    assert "v1 is a tag of org/drums, which cannot be written to" in refusal(capsys)
    assert len(hub.commits(REPO, "main")) == 2


def test_an_empty_pull_request_is_not_opened(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
):
    assert push(folder) == 0
    capsys.readouterr()
    assert push(folder, "--create-pr") == 0
    assert "nothing to propose: branch main is as it shall be\n" in capsys.readouterr().out
    assert hub.repository(REPO).pulls == {}


def test_a_token_that_is_no_text_of_a_header_is_not_shown(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("HF_TOKEN", "hf_s\u00e9cret")
    assert push(folder) == 1
    line = refusal(capsys)
    assert "must be one word of ASCII letters" in line
    assert "cret" not in line
    assert hub.requests() == []


def test_an_offline_switch_is_named(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    go_offline(monkeypatch)
    assert push(folder) == 1
    assert "HF_HUB_OFFLINE is set" in refusal(capsys)
    assert hub.waits == []


def test_somebody_elses_commit_is_not_overwritten(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert push(folder) == 0
    (folder / "notes.txt").write_text("new")
    theirs = iter([{"theirs.txt": b"mine"}])

    def meanwhile(_: float) -> None:
        for files in theirs:
            hub.commit(REPO, files)

    hub.inject(Fault(SERVER_ERROR, path="/commit/"))
    monkeypatch.setattr(failures.time, "sleep", meanwhile)
    assert push(folder) == 1
    assert "somebody else has written to org/drums meanwhile" in refusal(capsys)
    assert push(folder) == 0
    assert {"theirs.txt", "notes.txt"} <= stored(hub).keys()


def test_interrupted_it_says_that_it_goes_on(hub: Hub, folder: Path, tmp_path: Path):
    hub.inject(Fault(UNAVAILABLE, path="/repos/create", times=None))
    words = ["-c", "import sys; from sousa.builders import cli; sys.exit(cli.main())", "push"]
    environment = os.environ | hub.environment(tmp_path / "home")
    with subprocess.Popen(
        [sys.executable, *words, str(folder), REPO],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == f"{REPO}, new: branch main\n"
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate()
    hub.heal()
    assert process.returncode == 130
    assert complaint.endswith("\nsousa push: interrupted; the same command goes on from here\n")


def test_network_errors_are_those_of_the_clients_library():
    assert issubclass(HfHubHTTPError, NETWORK_ERROR)
    assert not issubclass(NETWORK_ERROR, OSError)
