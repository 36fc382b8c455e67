"""The rooms of the package: few modules at the top, imports one way."""

import ast
from pathlib import Path

import pytest

import v2s_sklearn

PACKAGE = Path(v2s_sklearn.__file__).parent
# From the bottom to the top; what stands in one line does not import one another.
ROOMS = [
    {"errors", "_version"},
    {"runtime", "series"},
    {"files", "mapping"},
    {"acoustic"},
    {"views"},
    {"network"},
    {"base"},
    {"classifier", "transformer", "transfer"},
    {"persistence", "alignment"},
    {"inspection", "pretrain"},
    {"__init__"},
]
LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
# Public names of what lies in a room.
ALIASES = {"frontend": "acoustic"}
# Within these rooms, from the bottom to the top.
INSIDE = {
    "acoustic": [
        {"pooling", "folding", "recurrence", "frontend"},
        {"frozen"},
        {"interface"},
        {"networks"},
        {"configuration"},
        {"storage"},
        {"hub"},
        {"registry", "openl3", "vision"},
    ],
    "network": [{"constraints", "reprogrammed", "inference"}, {"fine_tuned", "training"}],
    "mapping": [{"embeddings"}, {"gram"}, {"ridge"}, {"many_cases"}, {"stacking"}, {"mappings"}],
    "runtime": [
        {"memory", "optional", "progress", "compatibility", "threads", "portable_modules", "devices", "lapack"},
        {"settings", "compilation"},
        {"flops", "vectors", "parallel"},
    ],
}


def modules():
    """Yield the name of each module of the package, without the package's, and its path."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts), path


def imports(path):
    """Yield the modules of the package that a file imports, anywhere in it, without the package's name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("v2s_sklearn."))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            if node.module == "v2s_sklearn":
                yield from (alias.name for alias in node.names)
            elif node.module.startswith("v2s_sklearn."):
                module = node.module.removeprefix("v2s_sklearn.")
                for alias in node.names:
                    whole = PACKAGE.joinpath(*module.split("."), alias.name)
                    yield f"{module}.{alias.name}" if whole.with_suffix(".py").exists() or whole.is_dir() else module


def room_of(module):
    """Return the room that a module lies in."""
    first = module.partition(".")[0]
    return ALIASES.get(first, first)


def test_at_most_eight_modules_stand_at_the_top():
    assert len(list(PACKAGE.glob("*.py"))) <= 8


@pytest.mark.parametrize(
    ("module", "path"), list(modules()), ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_no_import_goes_up(module, path):
    room = room_of(module)
    for imported in imports(path):
        other = room_of(imported)
        assert other in LEVELS, f"{module} imports {imported}, which is in no room"
        assert other == room or LEVELS[other] < LEVELS[room], f"{module} imports {imported}: up, or sideways"


@pytest.mark.parametrize("room", INSIDE)
def test_no_import_goes_up_inside_a_room(room):
    levels = {name: level for level, names in enumerate(INSIDE[room]) for name in names}
    for module, path in modules():
        inside = module.partition(".")[2].partition(".")[0]
        if module.partition(".")[0] != room or inside == "__init__":
            continue
        assert inside in levels, f"{module} has no place"
        for imported in imports(path):
            first, _, rest = imported.partition(".")
            other = rest.partition(".")[0]
            if first == room and other != inside:
                assert levels[other] < levels[inside], f"{module} imports {imported}: up, or sideways"


def test_there_is_no_circle():
    graph = {module.removesuffix(".__init__"): set() for module, _ in modules()}
    for module, path in modules():
        graph[module.removesuffix(".__init__")] |= {name for name in imports(path) if name in graph}
    done = set()

    def visit(module, before):
        assert module not in before, " -> ".join([*before[before.index(module) :], module])
        if module not in done:
            for imported in graph[module]:
                visit(imported, [*before, module])
            done.add(module)

    for module in graph:
        visit(module, [])
