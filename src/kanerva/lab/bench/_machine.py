"""Say what a run was made on, in words, and never on whose machine."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import torch

from kanerva.lab.bench import _peers

__all__ = ["describe"]

# What the processor may offer that matters here, by the names that Linux gives, in order.
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


def describe(threads: int) -> dict[str, Any]:
    """Return cores, threads, memory, instruction sets, versions, and how busy the machine was."""
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
    """Return the bytes of memory of the machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def _instructions() -> list[str]:
    """Name the instruction sets that the processor says it has."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    flags = next(
        (
            set(line.split())
            for line in text.splitlines()
            if line.lower().startswith(("flags", "features"))
        ),
        set(),
    )
    return [title for flag, title in INSTRUCTIONS.items() if flag in flags]
