"""What the kernel says of a process and of its sockets."""

import os
import time

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid):
    """The process and all that descend from it."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children") as children:
                    found += [int(child) for child in children.read().split()]
        except FileNotFoundError:
            continue
    return found


def cpu_seconds(pids):
    """Processor time of all, user and system, ended threads too; steps of 10 ms."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            after_name = stat.read().rpartition(")")[2].split()
        total += int(after_name[11]) + int(after_name[12])
    return total / TICK


def cpu_clock(pids):
    """As `cpu_seconds`, to the nanosecond, of processes that run: the kernel's clock of each process."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def _status(pids, key):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith(key + ":"):
                    total += int(line.split()[1])
    return total


def rss_kib(pids):
    """Resident memory of all, in KiB."""
    return _status(pids, "VmRSS")


def peak_rss_kib(pids):
    """The most resident memory that each has had since `forget_peak`, summed, in KiB."""
    return _status(pids, "VmHWM")


def forget_peak(pids):
    """Lets `peak_rss_kib` begin again at what is resident now."""
    for pid in pids:
        with open(f"/proc/{pid}/clear_refs", "w") as clear:
            clear.write("5")


def tcp_memory_kib():
    """What the sockets of this machine hold in TCP buffers, both ends, in KiB."""
    with open("/proc/net/sockstat") as sockstat:
        for line in sockstat:
            if line.startswith("TCP:"):
                words = line.split()
                return int(words[words.index("mem") + 1]) * PAGE // 1024
    raise RuntimeError("/proc/net/sockstat has no line TCP")


def descriptors(pid):
    """How many descriptors the process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def descriptor_of(pids, path):
    """The /proc entry through which one of them holds the file open, or None."""
    for pid in pids:
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                entry = f"/proc/{pid}/fd/{fd}"
                try:
                    if os.readlink(entry) == path:
                        return entry
                except FileNotFoundError:
                    continue
        except FileNotFoundError:
            continue
    return None
