"""A disk of its own for a server: an ext4 file system in a file, whose power can be cut.

What was written and not synced is then lost, as on a machine that loses power: the file system is
shut down without flushing its log (the ioctl of xfstests' `godown`), and mounted again. Only root
can do that. A whole write is lost or kept: torn sectors are not what this shows.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from typing import Final

from ..harness.errors import Broken, Unavailable
from ..harness.household import Household

SIZE: Final = 1 << 30
_SHUT_DOWN: Final = 0x8004587D
"""FS_IOC_SHUTDOWN, of the kernel's `linux/fs.h` family; 2 means: without flushing the log."""
_WITHOUT_THE_LOG: Final = struct.pack("I", 2)
MISSING = "losing un-synced writes needs root, mount, and mkfs.ext4 (system package e2fsprogs)"


def can() -> bool:
    """Whether this machine and this user can have such disks."""
    return os.geteuid() == 0 and all(map(shutil.which, ("mkfs.ext4", "mount", "umount")))


class Disk:
    """One file system in a file, mounted in a private folder of the household."""

    def __init__(self, household: Household, name: str) -> None:
        if not can():
            raise Unavailable(MISSING)
        self._household = household
        folder = household.folder(f"{name}-disk", open=True)
        self._image = folder / "image"
        self.mount = folder / "mounted"
        self.mount.mkdir()
        self._undo = household.undo_on_death(
            "dokkaebi.backends.disks:remove_disk", {"mount": str(self.mount)}
        )
        with self._image.open("wb") as file:
            file.truncate(SIZE)
        _run("mkfs.ext4", "-q", "-F", self._image)
        self._put_in()
        owner = household.user
        if owner is not None:
            os.chown(self.mount, *owner)

    def settle(self) -> None:
        """Sync all that is there: what was made before the server ran is not what is tested."""
        _run("sync", "-f", self.mount)

    def lose_power(self) -> bool:
        """Lose what was not synced; whether nothing can be written to it any more."""
        handle = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUT_DOWN, _WITHOUT_THE_LOG)
        finally:
            os.close(handle)
        try:
            (self.mount / "written-after-the-power-was-cut").touch()
        except OSError:
            return True
        return False

    def come_back(self) -> None:
        """Mount it again as it was left; nobody may use it meanwhile."""
        _run("umount", self.mount)
        self._put_in()

    def remove(self) -> None:
        """Take it out and remove it; safe to call twice."""
        remove_disk(str(self.mount))
        self._household.undone(self._undo)

    def _put_in(self) -> None:
        _run("mount", "-o", "loop,noatime", self._image, self.mount)


def remove_disk(mount: str) -> str:
    """Unmount a disk of ours, if it is mounted; its loop device goes with it."""
    if not os.path.ismount(mount):
        return ""
    subprocess.run(["umount", "-l", mount], capture_output=True, check=False)
    return f"unmounted {mount}"


def _run(*argv: object) -> None:
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"{argv[0]} failed: {' '.join(done.stderr.split())}")
