"""Ascend, Huawei's processor: how many there are, and whether its software is installed."""

from __future__ import annotations

import os
from pathlib import Path

NO_ASCEND = "there is no Ascend device (/dev/davinci0): install the Ascend driver and CANN"
NO_CANN = "CANN is not installed: install it and source its set_env.sh"


def count() -> int:
    """How many Ascend processors the machine has, whether or not MindSpore can use them."""
    return len(list(Path("/dev").glob("davinci[0-9]*")))


def missing() -> str | None:
    """What keeps MindSpore from using an Ascend processor; None if nothing does."""
    if not count():
        return NO_ASCEND
    if not (os.environ.get("ASCEND_HOME_PATH") or Path("/usr/local/Ascend").exists()):
        return NO_CANN
    return None
