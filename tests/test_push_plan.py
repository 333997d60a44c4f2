"""What a push will do follows from what is here and what is there."""

import io
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st

from sousa.cards import batches
from sousa.cards.audio_cells import resampled
from sousa.cards.difference import difference, lines, strangers, without_older
from sousa.cards.failures import HubError
from sousa.cards.listing import LocalFile, configs_in, differences, files_in, measured, narrowed
from sousa.cards.remote import RemoteFile
from sousa.cards.rights import check_rights
from sousa.cards.target import Target
from sousa.cards.transfer import Transfer
from sousa.cards.verify import missing_or_changed

PATHS = st.sampled_from([f"{c}/train-0000{i}-of-00002.parquet" for c in "ab" for i in (0, 1)])
OLD = "a/train-00000-of-00001.parquet"
CONTENTS = st.dictionaries(PATHS, st.binary(max_size=3))


def local(contents: dict[str, bytes]) -> tuple[LocalFile, ...]:
    return tuple(LocalFile.of(path, content) for path, content in contents.items())


def remote(contents: dict[str, bytes], *, large: bool = True) -> dict[str, RemoteFile]:
    return {
        file.path: RemoteFile(file.path, file.size, file.git_oid, file.sha256 if large else None)
        for file in local(contents)
    }


@given(here=CONTENTS, there=CONTENTS, large=st.booleans())
def test_after_a_push_nothing_is_left_to_do(
    here: dict[str, bytes], there: dict[str, bytes], large: bool
):
    found = difference(local(here), remote(there, large=large))
    assert {f.path for f in found.send} == {p for p in here if there.get(p) != here[p]}
    assert {f.path for f in found.same} == {p for p in here if there.get(p) == here[p]}
    assert {f.path for f in found.older} == there.keys() - here.keys()
    assert list(missing_or_changed(local(here), remote(there, large=large))) == list(
        missing_or_changed(found.send, remote(there, large=large))
    )
    after = there | {file.path: here[file.path] for file in found.send}
    again = difference(local(here), remote(after, large=large))
    assert again.send == ()
    assert list(missing_or_changed(local(here), remote(after, large=large))) == []


def test_git_names_contents_as_it_does(tmp_path: Path):
    """`printf 'hello\\n' | git hash-object --stdin`."""
    (tmp_path / "file").write_bytes(b"hello\n")
    assert (
        LocalFile.of("file", tmp_path / "file").git_oid == LocalFile.of("file", b"hello\n").git_oid
    )
    assert LocalFile.of("file", b"hello\n").git_oid == "ce013625030ba8dba906f756967f9e9ca394464a"


@given(st.lists(st.integers(0, 300_000_000), max_size=40))
def test_batches_are_small_and_hold_every_file_once_in_order(sizes: list[int]):
    files = [LocalFile(str(index), b"", size, "") for index, size in enumerate(sizes)]
    found = list(batches.batches(files))
    assert [index for batch in found for index in batch] == list(range(len(files)))
    for batch in found:
        assert 1 <= len(batch) <= batches.BATCH_FILES
        assert len(batch) == 1 or sum(sizes[index] for index in batch) <= batches.BATCH_BYTES


def test_what_will_be_done_fits_a_screen():
    here = local({f"a/train-{i:05d}-of-00050.parquet": b"x" for i in range(50)})
    shown = list(lines(difference(here, remote({OLD: b"1234"})), prune=False))
    assert shown[0] == "send 50 files, 50 B"
    assert shown[13:15] == ["    ... and 38 more", "keep 0 files, 0 B"]
    assert shown[15:] == [
        "leave, of no use (--prune removes them): 1 files, 4 B",
        f"    {OLD}  4 B",
    ]


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ([".gitattributes"], ()),
        (["README.md"], ()),
        (["README.md", "LICENSE"], ("LICENSE",)),
        (["README.md", "manifest.json"], ("manifest.json",)),
        (["a/train-00000-of-00002.parquet"], ()),
        (["a/train-00001-of-00002.parquet"], ("a/train-00001-of-00002.parquet",)),
    ],
)
def test_what_is_another_dataset_is_told_from_an_unfinished_push(
    paths: list[str], found: tuple[str, ...]
):
    """A card of YAML alone is what the Hub's page for new datasets makes; one shard is ours."""
    contents = {"README.md": b"---\nlicense: mit\n---\n"}
    ours = ["a/train-00000-of-00002.parquet"]
    assert strangers(remote(dict.fromkeys(paths, b"")), contents, ours) == found
    assert strangers(remote({"README.md": b""}), {"README.md": b"# Cats\n"}) == ("README.md",)


@pytest.mark.parametrize(
    ("manifest", "is_ours"),
    [
        ('{"shards": []}', True),
        ('{"shards": [{"path": "a/b-00000-of-00001.parquet", "sha256": "0"}]}', True),
        ('{"shards": [{"path": "b-00000-of-00001.parquet", "sha256": "0"}]}', False),
        ('{"shards": [{"path": "a/b-00000-of-00001.parquet"}]}', False),
        ('{"shards": ["a/b-00000-of-00001.parquet"]}', False),
        ('{"name": "an app"}', False),
        ("[]", False),
        ("", False),
    ],
)
def test_only_a_manifest_of_our_shards_makes_a_repository_ours(manifest: str, is_ours: bool):
    found = strangers(remote({"cats.csv": b""}), {"manifest.json": manifest.encode()})
    assert (found == ()) == is_ours


def test_what_a_push_does_not_make_is_never_left_over():
    made = ["a/train-00000-of-00001.parquet", "card/samples.svg", "tokenizers/grid.json"]
    kept = ["LICENSE", "notes.md", "card/mine.png", "a/train.parquet", "b/c/d.json", "splits.json"]
    found = difference((), remote(dict.fromkeys([*made, *kept], b"")))
    assert [file.path for file in found.older] == made


def test_a_card_leaves_shards_of_another_number_out():
    card = LocalFile.of("README.md", b"path: a/train-*\npath: a/test-*\n")
    shards = local({"a/train-00000-of-00002.parquet": b"", "a/test-00000-of-00001.parquet": b""})
    older = remote({"a/train-00000-of-00001.parquet": b"", "a/other-00000-of-00001.parquet": b""})
    (changed, *_) = without_older([card, *shards], list(older.values()))
    assert changed.source == (
        b"path: a/train-*-of-00002.parquet\npath: a/test-*-of-00001.parquet\n"
    )


def test_a_manifest_proves_files_or_tells_which_are_otherwise():
    files = local({"a/train-00000-of-00001.parquet": b"12", "b/test-00000-of-00001.parquet": b"3"})
    shards = [{"path": f.path, "bytes": f.size, "sha256": f.sha256} for f in files]
    manifest = {"plan": {"configs": ["a", "b"]}, "shards": shards}
    assert list(differences(files, manifest)) == []
    assert narrowed(manifest, ["b"]) == {"plan": {"configs": ["b"]}, "shards": shards[1:]}
    shards[0] = shards[0] | {"bytes": 3}
    assert list(differences(files, manifest)) == [
        "a/train-00000-of-00001.parquet: is not as manifest.json records it"
    ]
    assert list(differences(files[:1], {"shards": shards[1:]})) == [
        "b/test-00000-of-00001.parquet: is in manifest.json, but missing",
        "a/train-00000-of-00001.parquet: is not in manifest.json",
    ]
    assert "without it nothing can be proved" in next(differences(files, None))


def test_a_listing_leaves_out_hidden_files_and_unwanted_configs(tmp_path: Path):
    for path in ("a/train-00000-of-00001.parquet", "b/x-00000-of-00001.parquet", ".s/c", "card/.d"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    assert configs_in(tmp_path) == ("a", "b")
    assert list(files_in(tmp_path, ["b"])) == ["a/train-00000-of-00001.parquet"]
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"pipe is no file that can be published"):
        files_in(tmp_path, ["b"])
    (tmp_path / "pipe").unlink()
    (tmp_path / "c").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match=r"/c is a link to a folder; replace it"):
        files_in(tmp_path, ["b"])
    (tmp_path / "c").unlink()
    (file,) = measured(dict(files_in(tmp_path, ["b"])))
    assert file == LocalFile.of(file.path, tmp_path / file.path)
    assert (file.size, file.is_shard) == (30, True)


def test_a_token_is_not_shown_with_its_target():
    assert "secret" not in repr(Target(repo="org/drums", token="secret"))
    with pytest.raises(ValueError, match=r"one word of ASCII letters, is something else$"):
        Target(repo="org/drums", token="s\u00e9cret")


ORG = {"name": "org"}


def scoped(kind: str, name: str | None, *permissions: str) -> dict[str, object]:
    """What `whoami` tells of a fine-grained token with permissions for one thing."""
    entity = {"type": kind, "_id": "6" * 24} | ({"name": name} if name else {})
    scopes = {"global": [], "scoped": [{"entity": entity, "permissions": list(permissions)}]}
    token = {"role": "fineGrained", "fineGrained": scopes}
    return {"name": "eve", "orgs": [ORG], "auth": {"accessToken": token}}


def test_a_fine_grained_token_may_be_good_for_pull_requests_alone():
    tokens = [
        scoped("org", "org", "discussion.write"),
        {"auth": {"accessToken": {"fineGrained": {"global": ["discussion.write"]}}}},
    ]
    for token in tokens:
        check_rights(token, Target(repo="org/drums", create_pr=True))
        check_rights(token, Target(repo="org/drums", revision="refs/pr/1"))
        with pytest.raises(HubError, match="no permission to write to org/drums; give it write"):
            check_rights(token, Target(repo="org/drums"))
    with pytest.raises(HubError, match="no permission to write"):
        check_rights(scoped("org", "x", "repo.write"), Target(repo="org/drums", create_pr=True))


@pytest.mark.parametrize(
    ("account", "may"),
    [
        ({}, True),
        ({"name": "eve", "orgs": []}, False),
        ({"name": "org", "orgs": []}, True),
        ({"name": "eve", "orgs": [{"name": "org"}]}, True),
        ({"name": "eve", "orgs": [{"name": "org", "roleInOrg": "contributor"}]}, True),
        ({"name": "eve", "orgs": [{"name": "org", "roleInOrg": "read"}]}, False),
        ({"orgs": [], "auth": {"accessToken": {"role": "fineGrained"}}}, True),
        ({"name": "org", "auth": {"accessToken": {"role": "read"}}}, False),
        (scoped("org", "org", "repo.write"), True),
        (scoped("user", "org", "repo.content.read", "repo.write"), True),
        (scoped("dataset", "org/drums", "repo.write"), True),
        (scoped("dataset", None, "repo.write"), True),
        (scoped("resource-group", "ours", "repo.write"), True),
        (scoped("resource-group", None, "repo.write"), True),
        (scoped("org", "org", "repo.content.read", "discussion.write"), False),
        (scoped("org", "others", "repo.write"), False),
        (scoped("dataset", "org/hats", "repo.write"), False),
        (scoped("model", "org/drums", "repo.write"), False),
        (scoped("model", None, "repo.write"), False),
        (scoped("org", "org", "repo.write") | {"orgs": [ORG | {"roleInOrg": "read"}]}, False),
        ({"auth": {"accessToken": {"role": "fineGrained", "fineGrained": {}}}}, False),
    ],
)
def test_a_token_tells_whether_it_may_write(account: dict[str, object], may: bool):
    with (
        nullcontext()
        if may
        else pytest.raises(HubError, match=r"the (fine-grained )?token (may not|can only|has no)")
    ):
        check_rights(account, Target(repo="org/drums"))


def test_without_a_terminal_progress_is_plain_lines_now_and_then():
    stream = io.StringIO()
    with Transfer(3_000_000, stream) as progress:
        for _ in range(3):
            progress(1_000_000)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("3.0 MB of 3.0 MB, ")
    assert line.endswith(" a second, 0 s left")


def test_what_is_no_audio_is_left_as_it_is():
    assert resampled(b"no audio", 16_000) == b"no audio"
    assert resampled(None, 16_000) is None


def test_older_shards_do_not_reach_a_reader(built: Path, tmp_path: Path):
    """`datasets` takes the narrower pattern as it takes the wide one."""
    folder = tmp_path / "data"
    (folder / "labels_only").mkdir(parents=True)
    old = next((built / "labels_only").glob("train-*"))
    shutil.copy(old, folder / "labels_only" / old.name)
    shutil.copy(old, folder / "labels_only" / "train-00000-of-00007.parquet")
    text = "configs:\n- config_name: x\n  data_files:\n  - split: train\n"
    pattern = f"    path: labels_only/train-*-of-{old.stem[-5:]}.parquet\n"
    (folder / "README.md").write_text(f"---\n{text}{pattern}---\n")
    rows = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows.num_rows == 16
