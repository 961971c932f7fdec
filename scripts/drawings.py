"""Draw the diagrams of the guides, docs/guides/images/{call,life,outcome,rotation}.svg, from the text below.

The browser chooses light or dark, and the letters are the reader's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "guides" / "images"
LEFT, RIGHT, WIDTH, BOX, LINE, MARGIN = 224, 180, 480, 52, 17, 4

# A drawing is a column of boxes: what stands in it, a smaller line, and a class of STYLE. A box may lead to one at its
# right. What begins with a colon stands beside the arrow down to the next box.
DRAWINGS = """
outcome | What the outcome of a failed call says about your keys
Did a byte leave? | of any attempt | plain -- no --> not_sent | keys as they were | good
: yes
Did the server refuse? | by its status | plain -- yes --> rejected | keys as they were | good
: no
Did it say: done? | or a look show it? | plain -- yes --> applied | changed: see key_id | warn
: no
unknown | changed or not: see the list | bad

rotation | The steps of a rotation, and what is stored and active if it is cut off there
1. List | the old key and its leftovers | plain -- cut --> stored: old | active: old | good
2. Create | a new key, with a marker | plain -- cut --> stored: old | active: old, perhaps new | warn
3. Verify | with verify=, if given | plain -- cut --> stored: old | active: old, perhaps new | warn
4. Store | with store= | plain -- cut --> stored: old or new | active: both | warn
5. Deactivate | the old key | plain -- cut --> stored: new | active: new, perhaps old | warn
Done | new is stored, and alone active | good

life | The life of a key, from its creation to its end
create(...) | or temporary_key, or rotate | plain -- once --> its secret | in this answer only | warn
active | the engine takes it | good
: deactivate(id), or
: the end of the block of temporary_key(...), or
: rotate(id), once the new key is stored, or
: sweep(), once the end that it was given has come
inactive | for good; its record stays | plain

call | The path of client.create from the method to the socket and back
client.create | what you call | plain
Operations.create | checks what was given | plain
: Request
Executor.execute | the loop of attempts | plain
Transport.send | one attempt | plain
: RawResponse, or TransportFailure
policy.evaluate | what it meant | plain -- Retry --> wait, then again | from execute on | warn
decode | reads a good answer | plain -- else --> an error | with its outcome | bad
: Success
CreatedKey | what you get | good
"""

STYLE = """\
text { font: 14px system-ui, sans-serif; fill: #1f2328; } .small { font-size: 12.5px; fill: #59636e; }
.name { font-weight: 600; } path { stroke: #8c959f; stroke-width: 1.5; fill: none; } marker path { fill: #8c959f; }
rect { stroke-width: 1.5; } .plain { fill: #f6f8fa; stroke: #8c959f; } .good { fill: #e6f6ea; stroke: #2da44e; }
.warn { fill: #fff6dd; stroke: #bf8700; } .bad { fill: #ffebe9; stroke: #cf222e; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .small { fill: #a3adb8; } .plain { fill: #1f242b; stroke: #6e7681; }
.good { fill: #12261a; stroke: #3fb950; } .warn { fill: #2b2211; stroke: #d29922; }
.bad { fill: #301517; stroke: #f85149; }
}"""


def box(x: int, y: int, width: int, content: str) -> str:
    name, meaning, tone = content.split(" | ")
    return (
        f'<rect class="{tone}" x="{x}" y="{y}" width="{width}" height="{BOX}" rx="6"/>'
        f'<text class="name" x="{x + 12}" y="{y + 22}">{escape(name)}</text>' + small(x + 12, y + 41, meaning)
    )


def small(x: int, y: int, text: str) -> str:
    return f'<text class="small" x="{x}" y="{y}">{escape(text)}</text>'


def arrow(line: str) -> str:
    return f'<path marker-end="url(#head)" d="{line}"/>'


def draw(title: str, lines: Sequence[str]) -> str:
    """Give a drawing as SVG."""
    parts: list[str] = []
    end, beside = MARGIN, 0
    for line in lines:
        if line.startswith(": "):
            beside += 1
            parts.append(small(MARGIN + 54, end + LINE * beside + 3, line.removeprefix(": ")))
            continue
        y = end + max(26, LINE * beside + 14) if parts else MARGIN
        if parts:
            parts.append(arrow(f"M{MARGIN + 40} {end}V{y - 2}"))
        left, _, right = line.partition(" -- ")
        parts.append(box(MARGIN, y, LEFT, left))
        if right:
            way, content = right.split(" --> ")
            x, middle = WIDTH - MARGIN - RIGHT, y + BOX // 2
            parts.append(arrow(f"M{MARGIN + LEFT} {middle}H{x - 2}"))
            parts += [small(MARGIN + LEFT + 14, middle - 6, way), box(x, y, RIGHT, content)]
        end, beside = y + BOX, 0
    height = end + MARGIN
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    head = '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{escape(title)}</title>'
    style = f'<style>\n{STYLE}\n</style>\n<defs>{head}<path d="M0 0 8 4 0 8z"/></marker></defs>'
    return "\n".join([start, style, *parts, "</svg>\n"])


def drawn() -> Iterator[tuple[Path, str]]:
    """Give each drawing with its place."""
    for drawing in DRAWINGS.strip().split("\n\n"):
        first, *lines = drawing.splitlines()
        name, title = first.split(" | ")
        yield FOLDER / f"{name}.svg", draw(title, lines)


if __name__ == "__main__":
    for path, drawing in drawn():
        path.write_text(drawing, encoding="utf-8")
        print(path)
