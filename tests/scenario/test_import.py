from __future__ import annotations

import subprocess
import sys


def test_importing_is_light() -> None:
    program = (
        "import sys, poq_abm.scenario\n"
        "heavy = {'numba', 'pandas', 'numpy', 'mesa', 'scipy'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
