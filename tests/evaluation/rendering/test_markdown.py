from evaluation.reporting import BROKEN, HELD, NASTY, report

from service.evaluation.rendering.markdown import MARK, render_markdown


def test_the_verdict_comes_first_and_every_score_has_a_row() -> None:
    lines = render_markdown(report(HELD, BROKEN)).splitlines()
    assert lines[0] == MARK
    assert lines[2] == "### ❌ Failed: 1 of 2 checks does not hold"
    assert "| Fréchet distance `fid` | **12.35** | 11.1 to 13.6 | 1.23 | ✅ `fid<=30` |" in lines
    assert "| Kernel distance `kid` | **0.01401** | – | 0.00140 | ❌ `kid<0.01` |" in lines
    assert "- ❌ `kid<0.01`: it is 0.0140135" in lines


def test_without_thresholds_the_table_says_what_is_better() -> None:
    text = render_markdown(report())
    assert "### 📏 Measured, not judged" in text
    assert text.count("lower is better") == 2
    assert "✅" not in text
    assert render_markdown(report(HELD)).count("✅") == 2


def test_what_numbers_depend_on_is_folded() -> None:
    text = render_markdown(report())
    assert text.count("<details>") == text.count("</details>") == 2
    assert "no interval: there is none" in text
    assert "interval of the expectation" in text
    assert "between halves (30 and 30)" in text
    assert "p-value 0.0050" in text
    assert f"| weights | sha256 {'c' * 64} |" in text


def test_a_file_name_marks_nothing_up_and_calls_nobody() -> None:
    [line] = [line for line in render_markdown(report(warnings=(NASTY,))).splitlines() if line.startswith("> ")]
    assert r"\<script\>alert(1)\</script\>\|\`\*@" in line
    assert "@everyone" not in line
    assert "http://" not in line
    assert line.endswith("it is damaged.")
