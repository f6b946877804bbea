"""What the compiler makes of the inner loops: nothing that a loop needs may wait in memory."""

import itertools
import json
import subprocess
import sys

import pytest
from support.daily import some
from support.drivers import DRIVERS, module_of

inner_loops = module_of("inner_loops")

X86 = """
	movq	%rsp, %rbp
.LBB0_1:
	vmovupd	(%rdi), %zmm2           # comment
	vbroadcastsd	8(%rsp), %zmm3  # 8-byte Folded Reload
	vfmadd231pd	%zmm2, %zmm3, %zmm0
	vfmadd231pd	-64(%rbp), %zmm3, %zmm1
	vmovupd	%zmm3, 64(%rsp)
	jne	.LBB0_1
.LBB0_2:
	vaddpd	%zmm0, %zmm0, %zmm0
	jne	.LBB0_2
"""
ARM = """
.LBB0_1:
	ldr	q3, [sp, #16]                  // 16-byte Folded Reload
	ld1r	{ v2.2d }, [x17], x27
	fmla	v0.2d, v3.2d, v2.2d
	fmla	v1.2d, v3.2d, v2.d[0]
	str	q1, [x0]
	b.ne	.LBB0_1
"""


def printed(*words, **options):
    command = [sys.executable, str(DRIVERS / "inner_loops.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout


@pytest.mark.parametrize(("text", "bits", "spills"), [(X86, 512, 3), (ARM, 128, 1)])
def test_innermost__counts_sums_and_spills(text, bits, spills):
    (loop,) = inner_loops.innermost(text)
    assert loop[:4] == (bits, 2, 2, spills)


CASES = list(itertools.product(("product", "begin_window"), inner_loops.PROCESSORS, ("float64", "float32")))


@pytest.mark.parametrize("case", some(CASES, ("product", "haswell", "float64")), ids="-".join)
def test_panels__spill_no_register(case):
    loop, name, dtype = case
    (row,) = json.loads(printed("--json", "--loops", loop, "--processors", name, "--dtypes", dtype))
    assert row["spills"] == 0
    assert row["sums"] == (12 if row["bits"] == 256 else 24)  # the whole panel


@pytest.mark.slow
def test_inner_loops__are_all_found():
    """Each has a loop of one block; without llvm-mca the cycles are missing."""
    _, *lines = printed("--processors", "znver4", "--dtypes", "float64", env={"PATH": ""}).splitlines()
    assert [line.split()[1] for line in lines] == list(inner_loops.LOOPS)
    assert all(line.split()[-1] == "-" for line in lines)
