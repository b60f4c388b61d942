"""What theory says of a given network and its data: all theories on one subject.

Like `_course` this package stands on the theories: its sections call their public functions.
"""

from nnth._explain.explain import Explanation, explain
from nnth._explain.sections import Section

__all__ = ["Explanation", "Section", "explain"]
