"""What this process may use of its machine: cores, memory; and which processor it has."""

import hashlib
import os
import platform
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_SLURM = "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"  # the second where the first was not asked for
_ROOT = Path("/")
# Of version 2 and version 1 of control groups; what they call used has files' pages in it, which the system gives up.
_MEMORY_FILES = ("memory.max", "memory.limit_in_bytes"), ("memory.current", "memory.usage_in_bytes")
_CACHED = "active_file", "inactive_file"


class Processor(NamedTuple):
    """The maker's name; and what compiled code depends on: LLVM's name of the family, a hash of its instructions."""

    name: str
    family: str


def cores(root: Path = _ROOT) -> int:
    """How many cores this process may use: its processor mask, a container's quota, what Slurm gave the task.

    A quota of 2.5 cores is 2 threads: a third would be stopped for half of the time, and all wait for it.
    """
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = [int(value) for name in _SLURM if (value := os.environ.get(name, "")).isdecimal()]
    return max(1, min([mask, *given, *map(int, _quotas(root))]))


def memory(root: Path = _ROOT) -> int:
    """Bytes of memory this process may use: the machine's, or less where its control group has a limit."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_memory_limits(root)])


def free_memory(root: Path = _ROOT) -> int:
    """Bytes of memory that this process may take now: what the machine has left, or its control groups."""
    lines = (line.split() for line in _read(root / "proc/meminfo").splitlines())
    left = [int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:"]
    for group in _groups(root, "memory"):
        limit, used = (_first(group, names) for names in _MEMORY_FILES)
        if limit is not None and used is not None:
            stat = dict(line.split() for line in _read(group / "memory.stat").splitlines())
            left.append(limit - used + sum(int(stat.get(name, 0)) for name in _CACHED))
    return max(0, min([memory(root), *left]))


def _first(group: Path, names: Iterable[str]) -> int | None:
    """The number in the first of these files that has one."""
    return next((int(word) for name in names if (word := _read(group / name)).isdecimal()), None)


@cache
def processor() -> Processor:
    """The processor that this process runs on."""
    import llvmlite.binding as llvm

    instructions = hashlib.sha256(llvm.get_host_cpu_features().flatten().encode()).hexdigest()[:8]
    return Processor(_name(), f"{llvm.get_host_cpu_name()} {instructions}")


def mixture(processors: Iterable[Processor]) -> str:
    """What must be known where a run uses processors of several families; empty for one."""
    used = list(processors)
    if len({one.family for one in used}) < 2:
        return ""
    kinds = sorted({one: used.count(one) for one in used}.items())
    names = ", ".join(f"{count} x {one.name} ({one.family.split()[0]})" for one, count in kinds)
    return f"its processes run on different processors, {names}: the same bits are promised on one family only"


def _name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@cache
def _quotas(root: Path) -> tuple[float, ...]:
    """Cores that the control groups around this process allow, in version 2 and version 1."""
    quotas = []
    for group in _groups(root, "cpu"):
        words = _read(group / "cpu.max").split() or [
            _read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")
        ]
        if all(word.isdecimal() for word in words) and int(words[1]) > 0:  # "max" and -1 are none
            quotas.append(int(words[0]) / int(words[1]))
    return tuple(quotas)


@cache
def _memory_limits(root: Path) -> tuple[int, ...]:
    """The same for bytes of memory."""
    words = [_read(group / name) for group in _groups(root, "memory") for name in _MEMORY_FILES[0]]
    return tuple(int(word) for word in words if word.isdecimal())


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # not of this version, or not shown to a container
        return ""


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's control group and of those around it: each may have a limit of its own."""
    own: dict[str, str] = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        own |= dict.fromkeys(names.split(","), path)  # version 2 has the name ""
    for line in _read(root / "proc/self/mountinfo").splitlines():
        place, _, kind = line.partition(" - ")
        top, mount = place.split()[3:5]
        system, _, options = kind.split(" ", 2)  # a source may be empty
        name = {"cgroup2": "", "cgroup": controller}.get(system)
        if name in own and (name == "" or name in options.split(",")):
            base = root / mount.lstrip("/")
            inside = PurePosixPath(own[name])
            # A container may be shown its own group as the mount's top, or be told a path outside of it.
            below = (
                inside.relative_to(top) if inside.is_relative_to(top) and ".." not in inside.parts else PurePosixPath()
            )
            yield from (base / part for part in (below, *below.parents))
