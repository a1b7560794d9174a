import json

from supernet.errors import UserError
from supernet.failures import FAILURE, forget_failure, read_failure, record_failure


def test_a_mistake_of_the_user_is_a_line_and_a_defect_has_its_traceback(tmp_path):
    record_failure(tmp_path, UserError("use 2\nor more"))
    assert json.loads((tmp_path / FAILURE).read_text()) == {"error": "UserError", "reason": "use 2 or more"}
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as error:
        record_failure(tmp_path, error)
    assert read_failure(tmp_path) == "ZeroDivisionError: by zero"
    assert "test_failures.py" in json.loads((tmp_path / FAILURE).read_text())["traceback"]


def test_a_run_without_a_failure_has_no_reason(tmp_path):
    assert read_failure(tmp_path) is None
    forget_failure(tmp_path)
    record_failure(tmp_path, UserError("x"))
    forget_failure(tmp_path)
    assert read_failure(tmp_path) is None


def test_a_record_that_cannot_be_read_or_written_hides_nothing(tmp_path):
    (tmp_path / FAILURE).write_text("[")
    assert read_failure(tmp_path) == "unknown: failure.json cannot be read"
    record_failure(tmp_path / "nowhere", UserError("x"))
