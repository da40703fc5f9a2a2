"""Shell completion: bash, having read what ``hs2s completion`` prints, completes words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hs2s_core.cli import main

COMPLETE = """source completion.sh
COMP_WORDS=({words}); COMP_CWORD={last}
_shtab_hs2s hs2s "${{COMP_WORDS[{last}]}}" "${{COMP_WORDS[{last}-1]}}"
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [("hs2s prop", "propagate"), ("hs2s ins", "install-plugin"), ("hs2s train --pre", "--preset")],
)
def test_bash_completes(
    words: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "bash"]) == 0
    (tmp_path / "completion.sh").write_text(capsys.readouterr().out)
    script = COMPLETE.format(words=words, last=len(words.split()) - 1)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert expected in done.stdout.split()
