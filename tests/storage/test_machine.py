"""What a process may use of its machine, read from a false root; processors of several families."""

import os

import pytest

from particles import machine
from particles.cli.doctor import cores as shown
from particles.experiments.placement import memory_here
from particles.machine import Processor, cores, memory, mixture

V2 = "30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "\n".join(
    f"{30 + k} 25 0:{26 + k} {{top}} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}"
    for k, name in enumerate(("cpu,cpuacct", "memory", "pids"))
)
GIB = 2**30


def tree(root, own, mounts, files):
    """A root with these control groups."""
    contents = {
        "proc/self/cgroup": own,
        "proc/self/mountinfo": f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 1 0:5 / /tmp rw - tmpfs  rw\n{mounts}\n",
    }
    for name, text in (contents | {f"sys/fs/cgroup/{name}": text for name, text in files.items()}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


HYBRID = "12:cpu,cpuacct:/job\n9:memory:/job\n3:pids:/\n1:name=systemd:/x\n0::/init.scope\n"
DOCKER = "4:memory:/docker/ab\n3:cpu,cpuacct:/docker/ab\n"
QUOTA, PERIOD, LIMIT = "cpu.cfs_quota_us", "cpu.cfs_period_us", "memory.limit_in_bytes"
CASES = {
    "no groups": ("", "", {}, 64, None),
    "version 2": ("0::/a\n", V2, {"a/cpu.max": "400000 100000\n", "a/memory.max": f"{GIB}\n"}, 4, GIB),
    "version 2, none": ("0::/a\n", V2, {"a/cpu.max": "max 100000\n", "a/memory.max": "max\n"}, 64, None),
    "version 2, in a container": ("0::/\n", V2, {"cpu.max": "250000 100000", "memory.max": f"{GIB}"}, 2, GIB),
    "version 2, above": (
        "0::/pod/app/main\n",
        V2,
        {"pod/cpu.max": "300000 100000", "pod/app/cpu.max": "800000 100000", "pod/app/main/cpu.max": "max 100000"}
        | {"pod/memory.max": f"{2 * GIB}", "pod/app/memory.max": f"{GIB}"},
        3,
        GIB,
    ),
    "version 2, less than a core": ("0::/a\n", V2, {"a/cpu.max": "50000 100000"}, 1, None),
    "version 2, outside": ("0::/../other\n", V2, {"cpu.max": "200000 100000"}, 2, None),
    "version 1": (
        HYBRID,
        V1.format(top="/"),
        {
            f"cpu,cpuacct/job/{QUOTA}": "600000\n",
            f"cpu,cpuacct/job/{PERIOD}": "200000\n",
            f"memory/job/{LIMIT}": f"{GIB}",
        },
        3,
        GIB,
    ),
    "version 1, none": (
        HYBRID,
        V1.format(top="/"),
        {
            f"cpu,cpuacct/job/{QUOTA}": "-1",
            f"cpu,cpuacct/job/{PERIOD}": "100000",
            f"memory/job/{LIMIT}": f"{2**63 - 4096}",
        },
        64,
        None,
    ),
    "version 1, in Docker": (
        DOCKER,
        V1.format(top="/docker/ab"),
        {f"cpu,cpuacct/{QUOTA}": "500000", f"cpu,cpuacct/{PERIOD}": "100000", f"memory/{LIMIT}": f"{GIB}"},
        5,
        GIB,
    ),
    "version 1, the mount is another's": (
        DOCKER,
        V1.format(top="/docker/cd"),
        {f"cpu,cpuacct/{QUOTA}": "100000", f"cpu,cpuacct/{PERIOD}": "100000"},
        1,
        None,
    ),
    "both": (
        HYBRID,
        V1.format(top="/") + "\n" + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
        {"unified/init.scope/cpu.max": "200000 100000", f"memory/job/{LIMIT}": f"{GIB}"},
        2,
        GIB,
    ),
}


@pytest.fixture
def wide(monkeypatch):
    """A machine of 64 cores without Slurm."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(64))
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("case", CASES)
def test_machine__has_what_its_control_groups_allow(case, wide, tmp_path):
    own, mounts, files, count, limit = CASES[case]
    root = tree(tmp_path, own, mounts, files)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert (cores(root), memory(root)) == (count, limit or whole)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"PER_TASK": "8", "ON_NODE": "32"}, 8),
        ({"ON_NODE": "32"}, 32),
        ({"PER_TASK": "128"}, 64),
        ({"PER_TASK": "?"}, 64),
    ],
)
def test_cores__are_those_that_slurm_gave(settings, count, wide, tmp_path, monkeypatch):
    for name, value in settings.items():
        monkeypatch.setenv(f"SLURM_CPUS_{name}", value)
    assert cores(tmp_path) == count


def test_cores__are_those_of_the_processor_mask(monkeypatch, wide, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
    assert cores(tmp_path) == 2


def test_machine__is_asked_by_engines_and_placement(monkeypatch, wide):
    monkeypatch.setattr(machine, "_quotas", lambda root: (1.5,))
    monkeypatch.setattr(machine, "_memory_limits", lambda root: (GIB // 1024,))
    assert shown() == 1 and memory_here() == GIB // 1024


EPYC, XEON = Processor("AMD EPYC 7763", "znver3 0a1b2c3d"), Processor("Intel Xeon 8358", "icelake-server 99887766")


def test_mixture__names_the_processors_of_several_families():
    assert mixture([]) == mixture([EPYC, EPYC]) == mixture([EPYC, EPYC._replace(name="AMD EPYC 7713")]) == ""
    message = mixture([EPYC, XEON, EPYC])
    assert "2 x AMD EPYC 7763 (znver3), 1 x Intel Xeon 8358 (icelake-server)" in message
    assert mixture([EPYC, EPYC._replace(family="znver3 00000000")])  # the same name with other instructions
