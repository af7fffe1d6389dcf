"""A driver and CUDA 11 libraries that load, say what was asked of them, and can do nothing: C compiled by the tests.

The libraries have every function that MindSpore's GPU plug-in links, under the versions it wants them under, so that
the plug-in loads as it does with NVIDIA's; the first call for a device is answered with an error.
"""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mindres.compat import mindspore as private
from mindres.devices import gpu, nvcc_stub, nvidia_driver

# Every function writes its name to the file $STUB_TRACE, where that is set.
TRACE = """
#include <stdio.h>
#include <stdlib.h>
static void trace(const char *name) {
    FILE *file = getenv("STUB_TRACE") ? fopen(getenv("STUB_TRACE"), "a") : NULL;
    if (file) { fprintf(file, "%s\\n", name); fclose(file); }
}
static int setting(const char *name, int fallback) { return getenv(name) ? atoi(getenv(name)) : fallback; }
"""
DRIVER = (
    TRACE
    + """
int cuInit(unsigned flags) {
    trace("cuInit");
    if (getenv("CUDA_MODULE_LOADING")) trace(getenv("CUDA_MODULE_LOADING"));
    if (getenv("CUDA_CACHE_MAXSIZE")) trace(getenv("CUDA_CACHE_MAXSIZE"));
    return setting("STUB_INIT", 0);
}
int cuGetErrorString(int error, const char **text) { *text = "stub says no"; return 0; }
int cuDriverGetVersion(int *version) { *version = setting("STUB_CUDA", 12040); return 0; }
int cuDeviceGetCount(int *count) { *count = setting("STUB_COUNT", 1); return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) { snprintf(name, size, "Stub %d", device); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 8UL << 30; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? setting("STUB_MAJOR", 8) : attribute == 76 ? 6 : 0;
    return 0;
}
"""
)


def compile_c(path, source, *options):
    """Compile `source` to the shared library `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.with_suffix(".c")
    text.write_text(source)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-w", "-o", str(path), str(text), *options], check=True
    )
    text.unlink()


def wanted_functions():
    """{library: functions} that the plug-in and the kernels beside it link."""
    plugin = private.gpu_plugin()
    wanted = {name: set() for name in [*gpu.LIBRARIES, "libcuda.so.1"]}
    for path in (plugin, plugin.parent / "gpu" / "libcuda_ops.so.11"):
        listing = subprocess.check_output(["nm", "-D", "--undefined-only", str(path)], text=True)
        for line in listing.splitlines():
            name, _, library = line.split()[-1].partition("@")
            if library in wanted:
                wanted[library].add(name)
            elif not library and name.startswith("cu"):
                prefix = next((p for p in ("cublas", "cufft") if name.startswith(p)), "cuda")
                wanted[next(key for key in wanted if key.startswith(f"lib{prefix}.so"))].add(name)
    return wanted


def build(folder):
    """Put the driver into `folder`/driver and the libraries where PyPI's packages have them below `folder`/site."""
    if not shutil.which("cc") or not shutil.which("nm"):
        pytest.skip("no C compiler")
    if not private.gpu_plugin():
        pytest.skip("this MindSpore has no GPU plug-in")
    for library, functions in wanted_functions().items():
        source = DRIVER if library == "libcuda.so.1" else TRACE
        for name in sorted(functions):
            if f"int {name}(" not in source:
                # 35 is cudaErrorInsufficientDriver; who asks for a text gets one.
                answer = '(long)"stub"' if name.endswith(("String", "Name")) else "35"
                source += f'long {name}(void) {{ trace("{name}"); return {answer}; }}\n'
        if library == "libcuda.so.1":
            compile_c(folder / "driver" / library, source)
            continue
        package = gpu.LIBRARIES[library].replace("-", "_")
        versions = folder / "versions"
        versions.write_text(f"{library} {{ global: *; }};\n")
        compile_c(
            folder / "site" / "nvidia" / package / "lib" / library,
            source,
            f"-Wl,-soname,{library}",
            f"-Wl,--version-script={versions}",
        )
    return folder


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    return build(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def machine(stubs, monkeypatch, tmp_path):
    """This process on a machine with the stub driver and libraries and no other; a place to take some away."""
    site = tmp_path / "site"
    for path in (stubs / "site").rglob("*.so.*"):
        link = site / path.relative_to(stubs / "site")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    for name in ("CUDA_HOME", "LD_LIBRARY_PATH", "CUDA_MODULE_LOADING", "CUDA_CACHE_MAXSIZE"):
        # Without `setenv` an absent variable would not be removed again if the test sets it.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    elsewhere = [entry for entry in sys.path if not Path(entry, "nvidia").exists()]
    monkeypatch.setattr(sys, "path", [str(site), *elsewhere])
    monkeypatch.setattr(private, "gpu_plugin", lambda: Path("plugin"))
    monkeypatch.setattr(gpu, "SYSTEM_FOLDERS", [str(tmp_path / "system" / "cuda-11*")])
    monkeypatch.setattr(gpu, "load_errors", {})
    driver = ctypes.CDLL(str(stubs / "driver" / "libcuda.so.1"))
    monkeypatch.setattr(nvidia_driver, "driver", lambda: driver)
    nvidia_driver.query.cache_clear()
    nvcc_stub.own_cuda_home.cache_clear()
    yield site
    nvidia_driver.query.cache_clear()
    nvcc_stub.own_cuda_home.cache_clear()
