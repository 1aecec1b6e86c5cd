"""The description of the machine of a run, without any names."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import torch

from kanerva.lab.bench import _peers

__all__ = ["describe"]

# The instruction sets that matter here, by their names in Linux.
INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vpopcntdq": "VPOPCNTDQ",
    "avx512_bf16": "AVX-512 BF16",
    "amx_bf16": "AMX BF16",
    "amx_int8": "AMX INT8",
    "asimd": "NEON",
    "sve": "SVE",
}
# The names of their list in /proc/cpuinfo.
NAMES = ("flags", "features")


def describe(threads: int) -> dict[str, Any]:
    """Return cores, threads, memory, instruction sets, versions, and the load average."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    packages = {name: _version(name) for name in ("torch", "numpy", "numba")}
    return {
        "system": f"{platform.system()}, {platform.machine()}",
        "cores": cores,
        "threads": threads,
        "memory": _memory(),
        "instructions": ", ".join(_instructions()) or torch.backends.cpu.get_cpu_capability(),
        "load": load,
        "versions": {"python": platform.python_version(), **packages, **_peers.versions()},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory() -> int | None:
    """Return the memory of the machine in bytes, or None where it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _instructions() -> list[str]:
    """Return the names of the instruction sets of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = (line.split() for line in text.splitlines())
    flags = next((words for words in lines if words and words[0].lower() in NAMES), [])
    return [title for flag, title in INSTRUCTIONS.items() if flag in flags]
