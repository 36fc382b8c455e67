"""What users call says the types of its arguments and of its result, which mypy checks in ``make lint``."""

import inspect

import pytest

import v2s_sklearn
from v2s_sklearn import alignment, inspection


def public_functions(module):
    """Yield name and function of everything public of a module that is called, methods of its classes included."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            if inspect.isfunction(value.__init__) and value.__init__.__module__.startswith("v2s_sklearn"):
                yield name, value.__init__
            for cls in value.__mro__:
                if cls.__module__.startswith("v2s_sklearn"):
                    for key, attribute in vars(cls).items():
                        function = getattr(attribute, "__func__", attribute)
                        is_own = inspect.isfunction(function) and function.__module__ == cls.__module__
                        if is_own and not key.startswith("_"):
                            yield f"{name}.{key}", function


@pytest.mark.parametrize("module", [v2s_sklearn, alignment, inspection], ids=lambda module: module.__name__)
def test_public_functions_are_annotated(module):
    lacking = {}
    for name, function in public_functions(module):
        signature = inspect.signature(function)
        arguments = {key: value.annotation for key, value in signature.parameters.items() if key not in ("self", "cls")}
        missing = [
            key
            for key, kind in {**arguments, "return": signature.return_annotation}.items()
            if kind is inspect.Signature.empty
        ]
        if missing:
            lacking[name] = missing
    assert lacking == {}
