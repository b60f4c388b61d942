"""Does a library run on every x86-64? Lists functions with instructions that only newer CPUs have.

    python .ci/instructions.py LIBRARY

LIBRARY has its symbols still, as it is in the build folder. What is compiled for a CPU level by
NNTH_MULTIVERSION has the level in its name and is left out. Exit code 1 if a function is listed.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# Beyond SSE2: AVX and its followers (VEX and EVEX, all of which begin with v), and the others that
# compilers take of themselves. Without tzcnt, which older CPUs read as bsf, as compilers know.
NEWER = re.compile(
    r"v(?!err|erw|mcall)[a-z]\w+|popcnt|lzcnt|andn|bextr|bls[ir]|blsmsk|mulx|rorx|sarx|sh[lr]x|pdep|pext"
    r"|movbe|crc32\w?|pshufb|palignr|pabs[bwd]|phadd\w*|pmulhrsw|psign[bwd]|haddp[ds]|addsubp[ds]"
    r"|lddqu|movddup|movs[hl]dup|round[ps][sd]|blend\w+|pblend\w+|dpp[sd]|pinsr[bdq]|pextr[bdq]"
    r"|insertps|extractps|pmov[sz]x\w+|pm(?:in|ax)(?:sb|sd|uw|ud)|pmulld|pmuldq|pcmpeqq|pcmpgtq"
    r"|packusdw|ptest|pcmp[ei]str[im]|\w*aes\w*|pclmul\w+"
)
LEVEL = re.compile(r"\.arch_x86_64_v[34]")
FUNCTION = re.compile(r"[0-9a-f]+ <(.*)>:$")


def newer_instructions(lines: Iterable[str]) -> dict[str, str]:
    """The functions of a disassembly that need a newer CPU, each with the first such line."""
    found: dict[str, str] = {}
    function = ""
    for line in lines:
        if start := FUNCTION.match(line):
            function = start[1]
        elif line.count("\t") >= 1 and not LEVEL.search(function):
            instruction = line.split("\t")[1].split()
            if instruction and NEWER.fullmatch(instruction[0]):
                found.setdefault(function, " ".join(instruction))
    return found


def main() -> None:
    library = Path(sys.argv[1])
    command = ["objdump", "--disassemble", "--no-show-raw-insn", str(library)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    functions = sum(1 for line in lines if FUNCTION.match(line))
    levels = sum(1 for line in lines if (f := FUNCTION.match(line)) and LEVEL.search(f[1]))
    if not levels:
        raise SystemExit(f"{library} has no function for a CPU level: are its symbols stripped?")
    found = newer_instructions(lines)
    for function, instruction in found.items():
        print(f"{function}: {instruction}")
    print(f"{functions} functions, {levels} for a CPU level, {len(found)} that need a newer CPU")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
