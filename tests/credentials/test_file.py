"""A file with a secret is read whole or not at all, and every change of it is seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from django_momento.credentials import file
from django_momento.redaction import SecretStr
from tests.kit.aws import V2_KEY, report, shown_of
from tests.kit.tables import table


def refusal(path: Path) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        file.read(path)
    assert [] == shown_of(V2_KEY, report(refused.value))
    return str(refused.value)


@table("text", ["", V2_KEY, f"{V2_KEY}\n", "ä", "x" * file.MAX_BYTES])
def test_a_file_is_read_as_it_is(text: str, tmp_path: Path) -> None:
    """What its text means is for others."""
    path = tmp_path / "key"
    path.write_bytes(text.encode())
    read = file.read(path)

    assert (text, SecretStr) == (str(read), type(read))


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    """Editors on Windows put one before the key."""
    path = tmp_path / "key"
    path.write_text(V2_KEY, encoding="utf-8-sig")

    assert V2_KEY == file.read(path)


def test_a_file_that_is_missing_says_so(tmp_path: Path) -> None:
    """A typo in the path, a volume that is not mounted, or a link that leads nowhere."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    assert ["does not exist"] * 2 == [refusal(tmp_path / name) for name in ("key", "link")]


def test_a_folder_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    """A folder is the mount point of what is meant; a pipe would keep the process waiting."""
    os.mkfifo(tmp_path / "pipe")

    assert ["is a directory", "is not a regular file"] == [refusal(tmp_path), refusal(tmp_path / "pipe")]


def test_a_file_that_the_system_refuses_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions as root and broken disks cannot be had in a test, so the call itself refuses."""

    def refuse(error: OSError) -> str:
        def opened(*args: object, **kwargs: object) -> None:
            raise error

        path = tmp_path / "key"
        path.write_text(V2_KEY)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", opened)
            return refusal(path)

    assert "may not be read by the user of this process" == refuse(PermissionError(13, "Permission denied"))
    assert "cannot be read: Input/output error" == refuse(OSError(5, "Input/output error"))


@table(
    ("content", "reason"),
    [
        (b"x" * (file.MAX_BYTES + 1), f"holds more than {file.MAX_BYTES} bytes"),
        (V2_KEY.encode() + b"\xff", "holds bytes that are not UTF-8 text"),
        (V2_KEY.encode("utf-16"), "holds UTF-16 text, as PowerShell writes it, and must hold UTF-8"),
        (
            b"\xfe\xff" + V2_KEY.encode("utf-16-be"),
            "holds UTF-16 text, as PowerShell writes it, and must hold UTF-8",
        ),
    ],
)
def test_a_file_that_is_another_file_says_so(content: bytes, reason: str, tmp_path: Path) -> None:
    """A log in place of the key is not read to its end, and nothing of it is shown."""
    path = tmp_path / "key"
    path.write_bytes(content)

    assert reason == refusal(path)


def test_every_change_is_seen(tmp_path: Path) -> None:
    """Written over, replaced, removed, made again: each time the version is another."""
    path, other = tmp_path / "key", tmp_path / "other"
    versions = [file.version(path)]
    path.write_text("first")
    versions.append(file.version(path))
    path.write_text("second")
    versions.append(file.version(path))
    other.write_text("second")
    other.replace(path)
    versions.append(file.version(path))

    assert 4 == len(set(versions))
    path.unlink()
    assert versions[0] == file.version(path)


def test_a_file_that_stays_has_one_version(tmp_path: Path) -> None:
    """Reading is no change."""
    path = tmp_path / "key"
    path.write_text(V2_KEY)
    before = file.version(path)
    file.read(path)

    assert before == file.version(path)


def test_permission_that_is_given_later_is_a_change(tmp_path: Path) -> None:
    """Whoever mends it with chmod need not write the file again."""
    path = tmp_path / "key"
    path.write_text(V2_KEY)
    path.chmod(0o000)
    before = file.version(path)
    path.chmod(0o644)

    assert before != file.version(path)


def test_kubernetes_way_of_replacing_a_secret_is_followed(tmp_path: Path) -> None:
    """It writes a new folder and swaps one link: the path of the file is the same link all along."""
    path = tmp_path / "api-key"

    def publish(folder: str, text: str) -> None:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "api-key").write_text(text)
        (tmp_path / "..data_tmp").symlink_to(folder)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    publish("..2026_08_01", "the old key")
    path.symlink_to("..data/api-key")
    before = file.version(path), file.read(path)
    publish("..2026_08_02", "the new key")

    assert before[0] != file.version(path)
    assert ("the old key", "the new key") == (before[1], file.read(path))


def test_no_path_makes_looking_fail() -> None:
    """It is called in the middle of cache calls."""
    versions = [file.version(Path(name)) for name in ("a" * 5000, "nul\0byte", "/dev/null/key")]

    assert all(isinstance(version, type) for version in versions)
