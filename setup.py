"""Packaging of labelmill: four top-level packages that also import from a bare checkout."""

from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent
PACKAGES = ("labelmill", "labelmodel", "transforms", "pipelines")

STORES = {
    "s3": ["s3fs>=2024.6"],
    "gcs": ["gcsfs>=2024.6"],
    "azure": ["adlfs>=2024.7"],
}

DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.5", "mkdocstrings[python]>=0.28"]

TEACH = ["scikit-learn>=1.5", "threadpoolctl>=3.1"]

DEV = [
    *(client for clients in STORES.values() for client in clients),
    "build>=1.2",
    "cryptography>=42",
    "hypothesis>=6.100",
    "joblib>=1.3",
    "jsonschema>=4.20",
    "mypy>=1.13",
    "onnx>=1.16",
    "onnxruntime>=1.18",
    "pandas>=2.2",
    "pandas-stubs>=2.2",
    "polars>=1.0",
    "psutil>=6",
    "pytest>=8.3",
    "pytest-xdist>=3.6",
    "ruff>=0.8",
    "safetensors>=0.4",
    *DOCS,
    *TEACH,
    "scipy-stubs>=1.14",
    "spacy>=3.8,<3.9",
    "tfrecord>=1.14",
    "tokenizers>=0.20",
    "types-PyYAML>=6.0",
]

# Later wheels lose matches (labelmill checks, and would not use them). Where there is no wheel, or
# no sound one, regular expressions are searched one by one, with the same votes.
HYPERSCAN = "hyperscan>=0.7.8,<0.7.22"
HYPERSCAN_WHEELS = (
    "sys_platform == 'linux' and platform_machine == 'x86_64' and python_version < '3.14'",
    "sys_platform == 'linux' and platform_machine == 'aarch64' and python_version >= '3.12'"
    " and python_version < '3.14'",
    "sys_platform == 'darwin' and platform_machine == 'arm64' and python_version >= '3.12'"
    " and python_version < '3.14'",
)

setup(
    name="labelmill",
    version="0.1.0",
    description="Distributed programmatic labeling on Apache Beam",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_namespace_packages(include=[*PACKAGES, *(f"{name}.*" for name in PACKAGES)]),
    package_data={
        **{name: ["py.typed"] for name in PACKAGES},
        "labelmill.judging": ["form.html", "form.css", "form.js"],
        "labelmill.report": ["templates/*"],
    },
    install_requires=[
        "apache-beam>=2.77,<2.78",
        "click>=8.1",
        "fsspec>=2024.6",
        *(f"{HYPERSCAN}; {where}" for where in HYPERSCAN_WHEELS),
        "Jinja2>=3.1",
        "MarkupSafe>=2.1",
        "numpy>=1.26",
        "packaging>=23",
        "pyarrow>=17",
        "pydantic>=2.9",
        "PyYAML>=6.0",
        "requests>=2.32",
        "rich>=13.7",
        "scipy>=1.13",
        "urllib3>=2",
        "watchfiles>=0.24",
    ],
    extras_require={
        **STORES,
        "teach": TEACH,
        "embeddings": ["safetensors>=0.4", "tokenizers>=0.20"],
        "nlp": ["spacy>=3.8,<3.9"],
        "tfrecord": ["tfrecord>=1.14"],
        "gcp": ["apache-beam[gcp]>=2.77,<2.78"],
        "docs": DOCS,
        "dev": DEV,
    },
    entry_points={"console_scripts": ["labelmill=pipelines.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
