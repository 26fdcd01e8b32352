"""A recipe's text as data: read, never run."""

import ast
from typing import Any, Dict

from .errors import UserError


def literal_values(text: str, names: tuple) -> Dict[str, Any]:
    """What Python text assigns to ``names``, without running it.

    Raises:
        ValueError: it is no Python, or one of the values is more than plain values in lists, tuples and dicts.
    """
    try:
        statements = ast.parse(text).body
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        raise UserError(f'it is no Python text ({error})') from error
    return {
        statement.targets[0].id: literal(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and statement.targets[0].id in names
    }


def literal(node: ast.expr) -> Any:
    """The value of a Python expression made of constants, lists, tuples, dicts and calls of ``dict``."""
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
        case ast.Call(
            func=ast.Name(id='dict'), args=[ast.Dict() as only], keywords=[]
        ):  # where keys are no identifiers
            return literal(only)
    raise UserError(f'line {node.lineno} holds {ast.unparse(node)[:60]!r}, which is no plain value')
