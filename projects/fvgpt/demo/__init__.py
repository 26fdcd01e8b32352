"""The demo page, and the explanations of predictions that it shows."""

from .explain import Explainer, Explanation

__all__ = ['Explainer', 'Explanation']
