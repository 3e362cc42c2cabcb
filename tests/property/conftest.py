"""One Hypothesis profile for all: no deadlines, because a busy machine is no defect; a failure prints how to repeat it."""

from hypothesis import settings

settings.register_profile("spokewire", max_examples=100, deadline=None, print_blob=True, derandomize=False)
settings.load_profile("spokewire")
