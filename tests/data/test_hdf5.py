"""Trajectory files of strangers: nothing is read from elsewhere, nothing that was never written, nothing endless."""

import shutil

import h5py
import numpy as np
import pytest

from morlight.data.trajectory_file import TrajectoryFile

FIELD = "t0_fields/density"


@pytest.fixture
def stranger(heat_file, tmp_path):
    """A whole file that a test spoils."""
    return shutil.copy(heat_file, tmp_path / "stranger.h5")


def replaced(file, key, **how):
    shape, dtype = file[key].shape, file[key].dtype
    del file[key]
    return file.create_dataset(key, **{"shape": shape, "dtype": dtype, **how})


def external_storage(file):
    size = file[FIELD].nbytes
    replaced(file, FIELD, external=[("/etc/passwd", 0, size)])


def virtual(file):
    layout = h5py.VirtualLayout(file[FIELD].shape, file[FIELD].dtype)
    layout[:] = h5py.VirtualSource("/etc/passwd", "t0_fields/density", file[FIELD].shape)
    del file[FIELD]
    file.create_virtual_dataset(FIELD, layout)


def external_link(file):
    del file[FIELD]
    file[FIELD] = h5py.ExternalLink("/tmp/other.h5", "secret")


def cyclic_link(file):
    del file[FIELD]
    file[FIELD] = h5py.SoftLink(f"/{FIELD}")


def link_of_a_group(file):
    file.move("scalars", "elsewhere")
    file["scalars"] = h5py.SoftLink("/elsewhere")


def never_written(file):
    replaced(file, FIELD, chunks=(1, 1, 32))


def claimed(file):
    replaced(file, "dimensions/time", shape=(10**12,), chunks=(10**6,))


def claimed_in_one_piece(file):
    replaced(file, "dimensions/time", shape=(10**12,))


def complex_numbers(file):
    replaced(file, FIELD, dtype="complex64")


def objects(file):
    replaced(file, FIELD, dtype=h5py.string_dtype())


def compound(file):
    replaced(file, FIELD, dtype=np.dtype([("a", "f4"), ("b", "f4")]))


def no_number_of_trajectories(file):
    file.attrs["n_trajectories"] = 1.5


def undefined_parameter(file):
    file["scalars/shear"] = np.full(6, np.nan)


KINDS = {
    external_storage: "'/t0_fields/density' lies in other files",
    virtual: "'/t0_fields/density' lies in other files",
    external_link: "'/t0_fields/density' is a link to secret",
    cyclic_link: "'/t0_fields/density' is a link to /t0_fields/density",
    link_of_a_group: "'/scalars' is a link to /elsewhere",
    never_written: r"'/t0_fields/density' has the shape \(6, 31, 32\), of which not all was ever written",
    claimed: r"'/dimensions/time' has the shape \(1000000000000,\), of which not all was ever written",
    claimed_in_one_piece: r"'/dimensions/time' has the shape \(1000000000000,\), of which not all was ever written",
    complex_numbers: "'/t0_fields/density' is of the type complex64, expected real numbers",
    objects: "'/t0_fields/density' is of the type object, expected real numbers",
    compound: "'/t0_fields/density' is of the type .*, expected real numbers",
    no_number_of_trajectories: "attribute 'n_trajectories' is 1.5, expected a whole number from 1 on",
    undefined_parameter: "'scalars/shear' is not finite",
}


@pytest.mark.parametrize(("spoil", "sentence"), KINDS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_file_that_is_not_what_it_seems_is_refused_by_name(stranger, spoil, sentence):
    with h5py.File(stranger, "r+") as file:
        spoil(file)
    with pytest.raises(ValueError, match=rf"stranger\.h5: {sentence}"):
        TrajectoryFile.open(stranger)
