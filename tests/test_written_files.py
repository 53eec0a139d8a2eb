"""Files that verbs write: whole or not at all, and what hinders them is named with its place."""

import subprocess

import pytest

from lctrain.errors import UserError
from lctrain.system.files import refuse_unwritable, replace_file

COPY = ["cp", "model=lc2d", "mine"]
DRAW = ["show", "model=lc2d", "--svg", "model.svg"]
SCHEMAS = ["schema", "--out", "schemas"]
WRITERS = {"cp": COPY, "show": DRAW, "schema": SCHEMAS}


def list_files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def full_disk(mount_small_disk):
    folder = mount_small_disk("8k")
    (folder / "filler").write_bytes(bytes(4096))  # one block is left, for the first folder alone
    return folder


@pytest.mark.parametrize("verb", WRITERS)
def test_a_full_disk_is_left_without_half_a_file(verb, full_disk, run_lctrain):
    process = run_lctrain(full_disk, *WRITERS[verb])
    assert process.returncode == 2, process.stderr
    assert "No space left on device" in process.stderr
    assert [path.name for path in list_files(full_disk)] == ["filler"]


@pytest.mark.parametrize("verb", WRITERS)
def test_a_folder_that_is_read_only_is_named(verb, mount_small_disk, run_lctrain):
    folder = mount_small_disk("64k")
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    process = run_lctrain(folder, *WRITERS[verb])
    assert process.returncode == 2
    named = {"cp": "my_configs/schema", "show": "model.svg", "schema": "schemas"}[verb]
    assert f"can be written; got '{named}' (" in process.stderr
    assert "Read-only file system" in process.stderr


def test_a_job_in_a_folder_that_is_read_only_says_where_to_start_it(mount_small_disk, run_lctrain, tmp_path):
    folder = mount_small_disk("64k")
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    process = run_lctrain(folder, "debug=fast")
    assert process.returncode == 2
    message = f"the job's folder can't be made: 'outputs' (Read-only file system) in '{folder}'. Start it in a folder"
    assert message in process.stderr
    assert process.stderr.endswith("or write elsewhere: hydra.run.dir=DIR tracking.folder=DIR\n")
    elsewhere = [f"hydra.run.dir={tmp_path / 'job'}", f"tracking.folder={tmp_path / 'store'}"]
    process = run_lctrain(folder, "debug=fast", *elsewhere)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("arguments", [[*DRAW[:3], "."], ["kernels", "model.keras", "--out", "folder.png"]])
def test_a_folder_in_the_place_of_a_file_is_told(arguments, tmp_path, run_lctrain):
    (tmp_path / "folder.png").mkdir()
    process = run_lctrain(tmp_path, *arguments)
    assert process.returncode == 2
    assert f"must be a file that can be written; got '{arguments[-1]}' (Is a directory)" in process.stderr


def test_the_ending_of_a_copy_is_not_part_of_its_name(tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, "cp", "model=lc2d", "a.yaml")
    assert process.returncode == 2
    assert process.stderr == "Error: `a.yaml` must be a name, to which `.yaml` is added. Write a.\n"
    assert not list_files(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["cp", "model=lc2d", "m" * 300],
        ["show", "model=lc2d", "--svg", f"{'m' * 300}.svg"],
        ["kernels", "model.keras", "--out", f"{'m' * 300}.png"],
    ],
    ids=["cp", "show", "kernels"],
)
def test_a_name_that_is_too_long_is_told_the_limit(arguments, tmp_path, run_lctrain):
    process = run_lctrain(tmp_path, *arguments)
    assert process.returncode == 2
    assert "File name too long, at most 255 bytes). Choose another." in process.stderr


def test_a_link_is_followed_whether_its_file_is_there_or_not(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "file")
    for data in (b"first", b"second"):
        replace_file(tmp_path / "link", data)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "elsewhere" / "file").read_bytes() == data


def test_what_is_no_file_is_written_to_as_it_is(tmp_path):
    with (tmp_path / "output").open("wb") as output:
        replace_file(tmp_path.joinpath(f"/proc/self/fd/{output.fileno()}"), b"seen")
    assert (tmp_path / "output").read_bytes() == b"seen"
    replace_file(tmp_path.joinpath("/dev/null"), b"lost")
    assert tmp_path.joinpath("/dev/null").is_char_device()


def test_the_file_that_hinders_is_named_beside_the_folder(tmp_path):
    (tmp_path / "file").touch()
    message = r"`--out` must be a folder .*; got '.*' \(.*file/page: Not a directory\)"
    with pytest.raises(UserError, match=message), refuse_unwritable("--out", tmp_path, "folder"):
        (tmp_path / "file" / "page").write_text("")


def test_a_link_to_a_store_that_is_not_there_is_named(tmp_path, run_lctrain):
    (tmp_path / "mlflow.db").symlink_to("/nowhere/mlflow.db")
    process = run_lctrain(tmp_path, "model=lc2d", "training=fast")
    assert process.returncode == 2
    assert "mlflow.db is a link to /nowhere/mlflow.db, which is not there)" in process.stderr
    assert (tmp_path / "mlflow.db").is_symlink()
