"""The suite as each kind of processor would run it that this one can be; what follows is pytest's.

    python tests/support/processors.py [tests/theory/test_spectrum.py ...]

OpenBLAS and Numba choose their code by the processor, and no test may depend on the last bit of BLAS. Kernels are
compiled anew for each kind, and kept as always.
"""

import os
import subprocess
import sys

from llvmlite.binding import get_host_cpu_features

# What a processor must have, and what makes it take the code of this kind.
KINDS = {
    "AVX-512": ("avx512f", {"OPENBLAS_CORETYPE": "SkylakeX"}),
    "AVX2": ("avx2", {"OPENBLAS_CORETYPE": "Haswell", "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2"}),
    "AVX": ("avx", {"OPENBLAS_CORETYPE": "Sandybridge", "NUMBA_CPU_NAME": "sandybridge", "NUMBA_CPU_FEATURES": "+avx"}),
    "SSE": ("sse4.2", {"OPENBLAS_CORETYPE": "Nehalem", "NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "+sse4.2"}),
    "BLAS on 2 threads": ("sse2", {"OPENBLAS_NUM_THREADS": "2"}),
}


def main(words: list[str]) -> int:
    """1 if the tests fail on any kind."""
    here, failed = get_host_cpu_features(), []
    for kind, (feature, settings) in KINDS.items():
        if not here.get(feature):
            print(f"== {kind}: not on this processor", flush=True)
            continue
        environment = os.environ | settings
        shown = subprocess.run(
            [sys.executable, "-c", "import numpy"],
            env=environment | {"OPENBLAS_VERBOSE": "2"}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        print(f"== {kind}: {' '.join(shown.stderr.split())}, {settings}", flush=True)
        if subprocess.run([sys.executable, "-m", "pytest", *words], env=environment).returncode:
            failed.append(kind)
    print(f"== failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
