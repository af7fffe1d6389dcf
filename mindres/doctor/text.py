"""The report of `mindres doctor` as text."""

from __future__ import annotations

from mindres.devices import cpu
from mindres.devices.set_device import NOT_HERE


def format_report(report: dict) -> str:
    """The report as lines, one per finding; `!` marks problems, with what to do about them."""
    return "\n".join(
        [
            *_versions(report["versions"]),
            *_processor(report["processor"]),
            *_nvidia(report["gpu"], asked_for=report["training"]["target"] == "GPU"),
            *_ascend(report["ascend"]),
            *_settings(report["settings"]),
            *_caches(report["caches"]),
            *_workers(report["workers"]),
            *_training(report["training"]),
        ]
    )


def line(name, *texts, problem=None) -> str:
    """The line of a finding: its name, its details, and the problem if there is one."""
    text = "; ".join(str(text) for text in (*texts, problem) if text)
    return f"{'!' if problem else ' '} {name:<18} {text}"


def _versions(versions):
    for name, found in versions.items():
        tested = f"tested with {found['tested']}"
        yield line(name, found["installed"], tested, problem=found["problem"])


def _processor(found):
    sets = " ".join(found["instruction_sets"])
    yield line("processor", f"{found['model']}, {found['cores']} cores", sets)
    limit = found[cpu.ISA]
    value = f"{cpu.ISA}={limit}" if limit else f"{cpu.ISA} is not set"
    yield line("oneDNN", value, found["why"], problem=found["problem"])


def _nvidia(found, asked_for):
    here = found["problem"] not in NOT_HERE
    if found["driver_cuda"]:
        yield line("NVIDIA driver", found["driver"], f"for CUDA {found['driver_cuda']}")
    for index, card in enumerate(found["gpus"]):
        capability = f"compute capability {card['compute_capability']}"
        yield line(f"GPU {index}", card["name"], capability, f"{card['memory_gib']} GiB")
    if here or asked_for:
        for library in found["libraries"]:
            place = (library["from"], library["path"])
            yield line(library["name"], *place, problem=library["problem"])
        if found["CUDA_HOME"]:
            yield line("CUDA_HOME", found["CUDA_HOME"])
    if not found["problem"]:
        precision = "O2 by default; what stays in single precision may use TF32"
        yield line("GPU precision", precision)
    elif here:
        yield line("GPU", problem=found["problem"])
    else:
        yield line("GPU", found["problem"])


def _ascend(found):
    if found["problem"] in NOT_HERE:
        yield line("Ascend", found["problem"])
        return
    cann = f"CANN {found['cann'] or 'of unknown release'}"
    yield line("Ascend", f"{found['devices']} devices", cann, problem=found["problem"])


def _settings(found):
    for setting in found:
        yield line("setting", f"{setting['name']}={setting['value']}", setting["meaning"])


def _caches(found):
    for cache in found:
        yield line("cache", f"{cache['bytes'] / 1e6:,.1f} MB", cache["what"], cache["path"])


def _workers(found):
    text = found["msrun"]
    if not found["problem"]:
        text = f"{text}, port {found['port']} is free"
    yield line("several workers", text, problem=found["problem"])


def _training(found):
    if found["device"] == "CPU":
        yield line("native convolution", found["native_convolution"])
    if not found["ok"]:
        yield line("training", problem=f"{found['target']} cannot train: {found['problem']}")
        return
    before, after = found["losses"]
    yield line(
        "training",
        f"{found['device']} trains: a small network's loss fell from {before:.3f} to {after:.3f}",
    )
