"""The first bytes decide what a file is; what is not read is refused by its own name, in our words."""

import bz2
import gzip
import itertools
import lzma
import re
import shutil
import struct

import numpy as np
import pytest
import zstandard

from morlight.cli import main as cli
from morlight.data.particles import cut_ends
from morlight.data.particles.convert import convert
from morlight.data.particles.settings import Deposit
from morlight.data.trajectory_file import TrajectoryFile
from tests.data.particles.simulation import LJ
from tests.data.particles.test_lammps_dump import FRAME, written

NAMES = ["dump.dcd", "dump.xtc", "a.h5", "a.lammpstrj.bz2", "a.bin", "a.nc", "a.gsd", "a.txt", "a"]


def z_profile(path, folder, **options):
    target = folder / "profile.h5"
    convert([path], target, Deposit(bins=(8,), axes=["z"], **options), overwrite=True)
    return TrajectoryFile.open(target).read()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["text.dump", "dump.bin", "all.txt", "traj.xtc"])
def test_the_name_of_a_file_says_nothing(runs, tmp_path, source, name):
    shutil.copy(runs["lj"] / source, tmp_path / name)
    options = {
        "all.txt": {"walls": [], "bounds": [(0.0, LJ["side"])], "timestep": LJ["timestep"]},
        "traj.xtc": {"walls": [], "box_origin": [0.0]},
    }.get(source, {})
    mine, due = z_profile(tmp_path / name, tmp_path, **options), z_profile(runs["lj"] / source, tmp_path, **options)
    assert np.array_equal(mine, due)


COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("source", ["text.dump", "dump.bin"])
def test_compressed_dumps_are_read_whatever_their_name(runs, tmp_path, kind, pieces, source):
    whole = (runs["lj"] / source).read_bytes()
    cuts = [len(whole) * k // pieces for k in range(pieces + 1)]
    packed = b"".join(COMPRESS[kind](whole[a:b]) for a, b in itertools.pairwise(cuts))
    path = tmp_path / "packed"
    path.write_bytes(packed)
    assert np.array_equal(z_profile(path, tmp_path), z_profile(runs["lj"] / source, tmp_path))
    path.write_bytes(packed[: len(packed) - 9])
    with pytest.raises(ValueError, match=r"cut short"):
        z_profile(path, tmp_path)
    if pieces > 1:  # of a single piece that is compressed as a whole nothing may be left
        kept = z_profile(path, tmp_path, whole_frames=True)
        assert np.array_equal(kept, z_profile(runs["lj"] / source, tmp_path)[:, : kept.shape[1]])


def test_a_dump_of_every_style_is_read_or_refused_by_its_own_name(runs, tmp_path):
    due = z_profile(runs["lj"] / "text.dump", tmp_path)
    for name in ("dump.bin", "packed.dump.gz", "plain.dump", "element.dump"):
        assert np.array_equal(z_profile(runs["lj"] / name, tmp_path), due), name
    assert z_profile(runs["lj"] / "scaled.dump", tmp_path).shape == due.shape
    refused = {
        "traj.yaml": "LAMMPS dump style yaml", "traj.extxyz": "extended XYZ", "traj.xyz": "XYZ, which has no box",
        "traj.cfg.20": "LAMMPS dump style cfg", "traj.local": "LAMMPS dump style local",
        "traj.grid": "LAMMPS dump style grid", "traj.20.vti": "LAMMPS dump style vtk",
        "scalar.txt": "the output of LAMMPS fix ave/time", "vector.txt": "the output of LAMMPS fix ave/time",
        "histogram.txt": "the output of LAMMPS fix ave/histo", "system.data": "a LAMMPS data file",
        "system.restart": "a LAMMPS restart file", "log.lammps": "a LAMMPS log file",
    }  # fmt: skip
    for name, said in refused.items():
        with pytest.raises(ValueError, match=re.escape(f"{runs['lj'] / name}: is {said}, which is not read, expected")):
            z_profile(runs["lj"] / name, tmp_path)


OTHERS = {
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), "is an image, which is not read"),
    "PDB": (b"CRYST1   10.000   10.000\n", "is PDB, which is not read"),
    "an archive": (b"PK\x03\x04" + bytes(50), "is a zip archive (.npz, .zip), which is not read"),
    "an array": (b"\x93NUMPY\x01\x00", "is a NumPy array (.npy), which is not read"),
    "noise": (bytes(range(1, 256)), "the format is not recognized, expected LAMMPS dump, text"),
    "a table": (b"step,x\n1,2\n", "line 1: 'step,x', the format is not recognized, expected LAMMPS dump"),
    "nothing": (b"", "is empty or cut short"),
    "an old binary dump": (struct.pack("<q", 1000) + bytes(200), "the format is not recognized"),
    "a broken XTC": (
        b"\x00\x00\x07\xcb" + b"\x00\x00\x00\x64" + bytes(30),
        "XTC file is cut short after 0 whole frames",
    ),
    "a broken TRR": (b"\x00\x00\x07\xc9" + bytes(4), "TRR file is cut short after 0 whole frames"),
    "a broken DCD": (b"\x54\x00\x00\x00CORD" + bytes(30), "DCD file"),
    "a broken NetCDF": (b"CDF\x01" + bytes(30), "the AMBER NetCDF file cannot be read from frame 0 on"),
    "a broken GSD": (b"\xdf\x65" * 4 + bytes(30), "the GSD file is damaged or cut short"),
    "a broken HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(30), "the HDF5 file is damaged or cut short"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_files_are_refused_in_one_printable_sentence_of_our_own(tmp_path, capsys, case):
    content, said = OTHERS[case]
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as end:
        cli.main(["deposit", str(path), "-o", str(tmp_path / "a.h5"), "--walls", "--box-origin", "0"])
    err = capsys.readouterr().err
    assert end.value.code == 2
    assert said in err
    assert len(err) < 400 + len(str(path))
    assert err.strip().isprintable()


@pytest.mark.parametrize("name", ["text.dump", "dump.bin", "traj.xtc", "traj.dcd", "all.txt"])
@pytest.mark.parametrize("cut", [1, 2, 5, 100, 500])
def test_a_cut_end_is_noticed_and_the_frames_before_it_can_be_taken(runs, tmp_path, name, cut):
    whole = (runs["lj"] / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[:-cut])
    options = {"walls": [], "timestep": None}
    if name == "all.txt":
        options |= {"bounds": [(0.0, LJ["side"])]}
    elif name.startswith("traj"):
        options |= {"box_origin": [0.0]}
    if name == "traj.dcd":
        options |= {"frame_spacing": 1.0}
    due = z_profile(runs["lj"] / name, tmp_path, **options)
    with pytest.raises(ValueError, match=r"cut short|ends .* before its last sample|expected 9 values|ends within"):
        z_profile(path, tmp_path, **options)
    kept = z_profile(path, tmp_path, whole_frames=True, **options)
    assert kept.shape[1] == due.shape[1] - 1
    assert np.array_equal(kept, due[:, :-1])


def test_a_frame_that_is_cut_short_within_a_file_is_no_cut_end(tmp_path):
    lost = FRAME.format(step=10)[:-30]
    path = written(tmp_path / "a.dump", FRAME.format(step=0) + lost + "\n" + FRAME.format(step=20))
    with pytest.raises(ValueError, match="line 23"):
        z_profile(path, tmp_path, whole_frames=True)


def test_frames_of_xtc_trr_and_dcd_are_counted_without_their_readers(runs):
    assert cut_ends.whole_xtc_frames(runs["lj"] / "traj.xtc") == (5, True)
    assert cut_ends.whole_dcd_frames(runs["lj"] / "traj.dcd") == (5, True)


def test_a_trajectory_file_is_not_particles(runs, tmp_path):
    z_profile(runs["lj"] / "text.dump", tmp_path)
    with pytest.raises(ValueError, match="an HDF5 file without the group 'particles', expected H5MD"):
        convert([tmp_path / "profile.h5"], tmp_path / "b.h5", Deposit())
