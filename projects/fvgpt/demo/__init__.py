from .explain import Explainer, Explanation

__all__ = ['Explainer', 'Explanation']
