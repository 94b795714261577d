"""One short run of the installed LAMMPS in each unit style: a sheared mixture of two masses, in every style of dump."""

import subprocess
import sys
from pathlib import Path

DECK = """
units {units}
atom_style atomic
lattice fcc {lattice}
region box block 0 4 0 4 0 4
create_box 2 box
create_atoms 1 box
set group all type/fraction 2 0.3 17
mass 1 {light}
mass 2 {heavy}
group light type 1
velocity all create {temperature} 12345
velocity all ramp vy 0.0 {speed} z 0 {side} sum yes
pair_style lj/cut {cutoff}
pair_coeff * * {epsilon} {sigma}
timestep {timestep}
fix motion all nve
dump text all custom 5 text.dump id type mass x y z vx vy vz
dump_modify text format float %.17g sort id units yes time yes
dump plain all custom 5 plain.dump id type x y z vx vy vz
dump_modify plain format float %.17g sort id
dump element all custom 5 element.dump id element x y z vx vy vz
dump_modify element element Ar Kr format float %.17g sort id
dump binary all custom 5 dump.bin id type mass x y z vx vy vz
dump_modify binary units yes time yes sort id
dump scaled all atom 5 scaled.dump
dump packed all custom/gz 5 packed.dump.gz id type mass x y z vx vy vz
dump xtc all xtc 5 traj.xtc
dump_modify xtc sfactor 1.0 tfactor 1.0 precision 1000000
dump dcd all dcd 5 traj.dcd
dump yaml all yaml 5 traj.yaml id type x y z
dump extxyz all extxyz 5 traj.extxyz
dump_modify extxyz element Ar Kr
dump xyz all xyz 5 traj.xyz
dump cfg all cfg 5 traj.cfg.* mass type xs ys zs
compute pairs all property/local patom1 patom2
dump local all local 5 traj.local c_pairs[1] c_pairs[2]
compute cells all property/grid 2 2 2 id
dump grid all grid 5 traj.grid c_cells:grid:data
dump vtk all grid/vtk 5 traj.*.vti c_cells:grid:data
compute slab all chunk/atom bin/1d z lower {slab} units box
compute reduced all chunk/atom bin/1d z lower 0.125 units reduced
variable p atom mass*vy
compute across all temp/partial 1 0 1
fix all all ave/chunk 5 1 5 slab density/number density/mass v_p temp bias across adof 2 file all.txt format " %.17g"
fix light light ave/chunk 5 1 5 slab density/number density/mass vy file light.txt format " %.17g"
fix mixed all ave/chunk 5 1 5 slab density/number density/mass vy temp file mixed.txt format " %.17g"
fix reduced all ave/chunk 5 1 5 reduced density/number file reduced.txt format " %.17g"
fix times all ave/time 5 1 5 c_across file scalar.txt
compute rdf all rdf 8
fix vector all ave/time 5 1 5 c_rdf[*] mode vector file vector.txt
fix histogram all ave/histo 5 1 5 -1 1 5 vx mode vector file histogram.txt
run 20
write_data system.data
write_restart system.restart
"""
LJ = {
    "units": "lj", "lattice": "0.5", "light": 1.0, "heavy": 5.0, "temperature": 1.5, "speed": 2.0, "side": 8.0,
    "cutoff": 2.5, "epsilon": 1, "sigma": 1, "timestep": 0.005, "slab": 1.0,
}  # fmt: skip
REAL = {
    "units": "real", "lattice": "6", "light": 39.948, "heavy": 83.798, "temperature": 120, "speed": 0.003, "side": 24.0,
    "cutoff": 8, "epsilon": 0.24, "sigma": 3.4, "timestep": 2.0, "slab": 3.0,
}  # fmt: skip


def simulate(folder: Path, settings: dict) -> Path:
    """Run LAMMPS in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "in.lmp").write_text(DECK.format(**settings))
    program = Path(sys.executable).with_name("lmp")
    subprocess.run([program, "-in", "in.lmp", "-log", "log.lammps"], cwd=folder, check=True, capture_output=True)
    return folder
