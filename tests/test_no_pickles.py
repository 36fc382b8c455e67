"""No data from outside is unpickled, and none of its code is run: calls that could are looked for in the sources."""

import ast
from pathlib import Path

import v2s_sklearn

PACKAGE = Path(v2s_sklearn.__file__).parent
# Modules from which nothing may be called or imported.
FORBIDDEN_MODULES = {"cloudpickle", "dill", "joblib.load", "marshal", "shelve", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "load_pickle", "read_pickle"}
LOADERS = {"load", "loads", "Unpickler"}
# The file with this checksum in its name is torchvision's own; only tensors of it are read.
ALLOWED = {"acoustic/hub/vision.py": ["torch.load(path, map_location='cpu', weights_only=True)"]}


def name_of(node):
    """Return the dotted name of what is called, or an empty text."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def is_dangerous(node):
    """Return whether a syntax node reads a pickle or runs what it is given."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        module = node.module if isinstance(node, ast.ImportFrom) else ""
        names = {f"{module}.{alias.name}".strip(".") for alias in node.names} | {module}
        unpicklers = {f"{package}.{name}" for package in ("pickle", "torch", "numpy") for name in LOADERS}
        return bool(names & (FORBIDDEN_MODULES | unpicklers))
    if not isinstance(node, ast.Call):
        return False
    owner, _, function = name_of(node.func).rpartition(".")
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    return (
        (owner in ("pickle", "torch", "joblib", *FORBIDDEN_MODULES) and function in LOADERS)
        or (not owner and function in FORBIDDEN_CALLS)
        or function in ("load_pickle", "read_pickle")
        or keywords.get("allow_pickle", "False") != "False"
        or keywords.get("trust_remote_code", "False") != "False"
        or keywords.get("weights_only", "True") != "True"
    )


def dangerous_calls(source):
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if is_dangerous(node)]


def test_the_package_unpickles_nothing_from_outside():
    found = {
        str(path.relative_to(PACKAGE)): calls
        for path in sorted(PACKAGE.rglob("*.py"))
        if (calls := dangerous_calls(path.read_text()))
    }
    assert found == ALLOWED


def test_the_scan_sees_what_it_looks_for():
    for call in (
        "torch.load(path)",
        "torch.load(path, weights_only=True)",
        "pickle.loads(content)",
        "pickle.Unpickler(file)",
        "joblib.load(path)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "Model.from_pretrained(name, trust_remote_code=True)",
        "eval(text)",
    ):
        assert dangerous_calls(call), call
    for statement in ("from torch import load", "from pickle import loads", "import yaml", "import cloudpickle as c"):
        assert dangerous_calls(statement), statement
    for harmless in ("np.load(path)", "json.loads(text)", "import pickle", "model.eval()"):
        assert not dangerous_calls(harmless), harmless
