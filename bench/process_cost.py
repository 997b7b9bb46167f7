"""Floor 2. What a process costs: memory, processor time, bytes to disk. Wraps psutil.

Bytes are what the kernel's block layer was given for it (`write_bytes` of proc(5)): whole pages,
each time that one is written anew; the file system's own journal is not in it, nor is memory-backed
storage. It must not know what the process does.
"""

from __future__ import annotations

import psutil
from msgspec import Struct

from bench.report import CannotMeasureError


class Cost(Struct, frozen=True):
    """A process so far. Children are listed; those that have ended cost time only."""

    resident_bytes: int
    proportional_bytes: int  # shared pages divided among those who share them (PSS)
    children_resident_bytes: int
    cpu_s: float
    children_cpu_s: float
    written_bytes: int


def cost_of(pid: int) -> Cost:
    """What a running process has cost so far. CannotMeasureError when it has ended."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise CannotMeasureError("the process has ended")
    except psutil.Error as error:
        raise CannotMeasureError(f"the process has ended: {error}") from error
    try:
        children_bytes = sum(child.memory_info().rss for child in process.children(recursive=True))
    except psutil.NoSuchProcess:
        children_bytes = 0  # a child that has ended between two looks
    try:
        memory, times = process.memory_full_info(), process.cpu_times()
        written_bytes = process.io_counters().write_bytes
    except psutil.Error as error:
        raise CannotMeasureError(f"the process has ended: {error}") from error
    return Cost(
        resident_bytes=memory.rss,
        proportional_bytes=memory.pss,
        children_resident_bytes=children_bytes,
        cpu_s=times.user + times.system,
        children_cpu_s=times.children_user + times.children_system,
        written_bytes=written_bytes,
    )


def tree_cpu_s(process: psutil.Process) -> float:
    """Processor seconds of a process, of its children that run and of those that have ended."""
    while True:
        try:
            running = sum(sum(child.cpu_times()[:2]) for child in process.children())
        except psutil.NoSuchProcess:
            continue  # it has ended meanwhile: its parent has its time now
        own = process.cpu_times()
        return float(own.user + own.system + own.children_user + own.children_system + running)
