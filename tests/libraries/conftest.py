"""What the tests of real libraries share."""

import pytest

pytest.register_assert_rewrite("alike")
