"""Whether a compiled function's loops are vector code: what LLVM's last step left of them, and the machine code.

LLVM marks a loop that it made vector code of, and the loop for the cells left over, as `llvm.loop.isvectorized`. Every
innermost loop with float arithmetic and without the mark runs one cell at a time, if it writes numbers; one that does
not adds up a single number, over lanes or products.
"""

import re
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core.compiler import Compiler

ARITHMETIC = re.compile(r"= f(?:add|sub|mul|div|neg) |@llvm\.sqrt\.")
WRITES = re.compile(r"store (?:<\d+ x )?(?:double|float)[ >]")
UNROLLED = re.compile(r"\.(?:prol|epil)")  # the odd turns of a loop that is unrolled, itself judged by its own mark
PACKED = re.compile(r"^\s+v?(?:add|sub|mul|div|sqrt)p[sd]\s", re.MULTILINE)


def recompile(function: Any, signature: Any, compiler: type[Compiler] = Compiler) -> Any:
    """Compile a function again, without its cache: what comes out of a cache can't be looked at."""
    options = {name: value for name, value in function.targetoptions.items() if name != "nopython"}
    fresh = numba.njit(**options, pipeline_class=compiler)(function.py_func)
    fresh.compile(signature)
    return fresh


def packed_share(function: Any, signature: Any) -> float:
    """Return which share of the innermost loops with float arithmetic is vector code; 0 where there is no loop."""
    text = recompile(function, signature).inspect_llvm()[signature]
    marks = [mark for body in re.findall(r"^define .*?^}", text, re.MULTILINE | re.DOTALL) for mark in _loops(body)]
    vector = _vectorised(text)
    return sum(mark in vector for mark in marks) / max(len(marks), 1)


def scalar_functions(function: Any, signature: Any) -> list[str]:
    """Return the functions, among those that a compiled function calls, with loops that run one cell at a time."""
    text = recompile(function, signature).inspect_llvm()[signature]
    vector = _vectorised(text)
    bodies = re.findall(r"^define [^@]*@(\S+?\(.*?^})", text, re.MULTILINE | re.DOTALL)
    return sorted({body[:90] for body in bodies if not vector.issuperset(_loops(body))})


def open_functions(function: Any, signature: Any, compiler: type[Compiler]) -> list[str]:
    """Return the functions in a compiled function's code that others might call, too."""
    text = recompile(function, signature, compiler).inspect_llvm()[signature]
    return re.findall(r"^define linkonce_odr [^@]*@(\S{,90})", text, re.MULTILINE)


def packed_instructions(function: Any, signature: Any) -> int:
    """Return how many packed float instructions the machine code of a function has."""
    return len(PACKED.findall(recompile(function, signature).inspect_asm(signature)))


def has_avx2() -> bool:
    return bool(llvm.get_host_cpu_features().get("avx2"))


def _loops(body: str) -> list[str | None]:
    """Return of each innermost loop with float arithmetic the name of its mark, or None."""
    blocks: dict[str, str] = {}
    for part in re.split(r"\n(?=\"?[\w.$-]+\"?:)", body):
        name = re.match(r"(\"?[\w.$-]+\"?):", part)
        if name:
            blocks["%" + name.group(1)] = part
    after = {name: re.findall(r"label (%\"?[\w.$-]+\"?)", text) for name, text in blocks.items()}
    bodies: list[tuple[set[str], str]] = []
    for latch, header in _back_edges(after):
        inside, waiting = {header}, [latch]
        while waiting:
            block = waiting.pop()
            if block not in inside:
                inside.add(block)
                waiting += [name for name, to in after.items() if block in to]
        bodies.append((inside, latch))
    innermost = [(inside, latch) for inside, latch in bodies if not any(other < inside for other, _ in bodies)]
    found: list[str | None] = []
    for inside, latch in innermost:
        texts = [blocks[name] for name in inside]
        if not UNROLLED.search(latch) and all(any(map(one.search, texts)) for one in (ARITHMETIC, WRITES)):
            mark = re.search(r"^\s+br .*!llvm\.loop (!\d+)", blocks[latch], re.MULTILINE)
            found.append(mark.group(1) if mark else None)
    return found


def _back_edges(after: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Return (from, to) of the jumps back to a block that is still open in a walk in depth from the entry."""
    entry = next(iter(after))
    found, seen, open_blocks = [], {entry}, [entry]
    waiting = [iter(after[entry])]
    while waiting:
        to = next(waiting[-1], None)
        if to is None:
            waiting.pop()
            open_blocks.pop()
        elif to in open_blocks:
            found.append((open_blocks[-1], to))
        elif to not in seen:
            seen.add(to)
            open_blocks.append(to)
            waiting.append(iter(after[to]))
    return found


def _vectorised(text: str) -> set[str]:
    meaning = dict(re.findall(r"^(!\d+) = (.*)$", text, re.MULTILINE))
    flags = {name for name, value in meaning.items() if '"llvm.loop.isvectorized", i32 1' in value}
    return {name for name, value in meaning.items() if flags & set(re.findall(r"!\d+", value))}
