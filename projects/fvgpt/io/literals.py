"""Read values from Python source without running it, for config files of unknown origin."""

import ast
from typing import Any, Dict

from .errors import UserError


def literal_values(text: str, names: tuple) -> Dict[str, Any]:
    """Values that Python source assigns to ``names`` at module level, without running it.

    Args:
        text: the source.
        names: variable names to look for.

    Returns:
        name -> value, for those of ``names`` that are assigned.

    Raises:
        UserError: the source is not valid Python, or a value is not made of literals in lists,
            tuples and dicts.
    """
    try:
        statements = ast.parse(text).body
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        raise UserError(f'it is not valid Python ({error})') from error
    values = {}
    for statement in statements:
        if not isinstance(statement, ast.Assign):
            continue
        target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id in names:
            values[target.id] = literal(statement.value)
    return values


def literal(node: ast.expr) -> Any:
    """Value of a Python expression made of constants, lists, tuples, dicts and ``dict(...)`` calls.

    Raises:
        UserError: the expression contains anything else; names the line.
    """
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=items):
            return [literal(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(literal(item) for item in items)
        case ast.Dict(keys=keys, values=values) if all(
            isinstance(key, ast.Constant) for key in keys
        ):
            return {literal(key): literal(value) for key, value in zip(keys, values) if key}
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=pairs) if all(
            pair.arg for pair in pairs
        ):
            return {pair.arg: literal(pair.value) for pair in pairs}
        # dict({...}), which MMEngine's config printer writes if a key is not an identifier
        case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict() as only], keywords=[]):
            return literal(only)
    raise UserError(
        f'line {node.lineno} contains {ast.unparse(node)[:60]!r}, which is not a literal value'
    )
