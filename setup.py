"""Package metadata; where a C++ compiler is at hand, a wheel holds the native operators.

Lower bounds are the oldest releases that the tests have passed with: make test-oldest.
"""

import runpy
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

compile_for_wheel = runpy.run_path(
    str(Path(__file__).with_name("mindres") / "native" / "build.py")
)["compile_for_wheel"]

GPU = [
    "nvidia-cuda-runtime-cu11==11.8.89",
    "nvidia-cuda-nvrtc-cu11==11.8.89",
    "nvidia-cublas-cu11==11.11.3.6",
    "nvidia-cudnn-cu11==8.9.6.50",
    "nvidia-curand-cu11==10.3.0.86",
    "nvidia-cufft-cu11==10.9.0.58",
    "nvidia-cusolver-cu11==11.4.1.48",
    "nvidia-cusparse-cu11==11.7.5.86",
]
DOCS = [
    "codespell",
    "ipykernel",
    "mkdocs-jupyter",
    "mkdocs-material",
    "mkdocstrings[python]",
    "nbclient",
]
ONNX = ["onnx>=1.16.0", "onnxruntime>=1.17.0"]
OPENVINO = ["openvino>=2025.0.0"]
# The first with `weights_only`. Not tested: PyPI's older Linux wheels bring gigabytes of CUDA libraries.
TORCH = ["torch>=1.13.0"]
LINUX = "sys_platform == 'linux' and platform_machine == 'x86_64'"
SERVE = ["starlette>=0.41.3", "uvicorn>=0.32.1", "python-multipart>=0.0.19"]
PARQUET = ["pyarrow>=14,<20"]  # tables of images; later ones want NumPy 2
TENSORBOARD = ["tensorboardX>=2.6.2.2"]


class Build(build_py):
    """With the operators. A package that is used where it lies compiles them for its own processor instead."""

    def run(self):
        super().run()
        if not self.editable_mode and compile_for_wheel(Path(self.build_lib, "mindres")):
            self.distribution.has_ext_modules = lambda: True


class Wheel(bdist_wheel):
    """For every Python, as the operators know nothing of it, on this platform if they are there."""

    def run(self):
        self.run_command("build")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(
    name="mindres",
    version="0.1.0",
    description="Fine-tune and understand ResNets on today's MindSpore",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["mindres", "mindres.*"]),
    package_data={
        "mindres": ["py.typed"],
        "mindres.native": ["cpp/*.cc", "cpp/*.h"],
        "mindres.report": ["*.html"],
        "mindres.serve": ["*.html"],
        "mindres.weights": ["files/*.safetensors"],
    },
    python_requires=">=3.10,<3.13",  # what MindSpore 2.10 has wheels for
    install_requires=[
        "mindspore>=2.10.0",
        "mindvision==0.1.0",  # its last release; mindres/compat/mindvision.py is written for it
        # MindSpore 2.10's compiled modules are built for NumPy 1.x and its wheel sets no upper bound:
        # with NumPy 2 operators fail with `SystemError: pyboost_add_ext` and Python datasets refuse integers.
        "numpy>=1.26,<2",
        "matplotlib>=3.8.0",
        "opencv-python-headless",  # which mindvision requires, of any release
        "pillow>=10.1.0",
        "psutil",  # which mindspore requires, of any release
        "safetensors>=0.4.1",
        "scikit-learn>=1.3.2",
        "tqdm>=4.66.1",
    ],
    extras_require={
        "docs": DOCS,
        "gpu": GPU,
        "onnx": ONNX,
        "openvino": [*OPENVINO, *ONNX],
        "serve": [*ONNX, *SERVE],
        "torch": TORCH,
        "tensorboard": TENSORBOARD,
        "parquet": PARQUET,
        "benchmark": [*OPENVINO, *ONNX, *TORCH],  # what benchmarks/cpu.py compares with
        # The releases that parity was measured with; PyPI's newer PyTorch brings gigabytes of CUDA libraries.
        "test": [
            "pytest",
            "pytest-cov",
            "pytest-xdist",
            "coverage>=7.10.6",  # which pytest-cov asks for; 7.10 is the first that measures processes
            "mypy",
            "pre-commit",
            "ruff",
            "setuptools>=77.0.3",  # which torch 2.13 asks for; 70.1 is the first to build the wheel
            "mindcv==0.3.0",
            "torch==2.13.0",
            *DOCS,
            *ONNX,
            *OPENVINO,
            *SERVE,
            "httpx",  # with which Starlette's test client asks
            *TENSORBOARD,
            *PARQUET,
            # Where it has wheels; elsewhere pip would try to build it.
            f"atheris; {LINUX} and python_version >= '3.11'",
            f"atheris==2.3.0; {LINUX} and python_version < '3.11'",
        ],
    },
    cmdclass={"build_py": Build, "bdist_wheel": Wheel},
    entry_points={"console_scripts": ["mindres=mindres.cli.program:main"]},
)
