"""The demo page, and the explanation of a prediction that it shows."""

from .explain import Explainer, Explanation

__all__ = ['Explainer', 'Explanation']
