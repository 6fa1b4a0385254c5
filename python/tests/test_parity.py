"""scripts/parity.py: what it calls equal, what it refuses, where it writes."""

import importlib.util

import numpy as np
import pytest

from conftest import DATA, ROOT, SCRIPT


PARTS = "run pixels recipes codes training growth seeds curves logistic optimum predictions exports".split()


@pytest.fixture(scope="module")
def parity():
    spec = importlib.util.spec_from_file_location("parity", ROOT / "scripts/parity.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(parity, ours, theirs, tolerance, **more):
    return parity.compare("codes", "Keras", np.array(ours), np.array(theirs), tolerance, "sums", **more)


def test_a_row_counts_and_measures(parity):
    compared = row(parity, [1.0, 2.0, 3.0, 4.0], [1.0, 2.5, 3.0, 4.25], 0.5)
    assert (compared.count, compared.unequal, compared.largest, compared.median) == (4, 2, 0.5, 0.375)
    assert compared.kept
    assert row(parity, [8.0, 16.0], [8.0, 20.0], 0.2, scale=20.0).largest == 0.2
    assert row(parity, [0, 255], [0, 255], 0).kept


@pytest.mark.parametrize("theirs", [[1.0, 2.1], [1.0, float("nan")], [1.0, float("inf")]])
def test_a_difference_above_the_tolerance_is_broken(parity, theirs):
    table = parity.Table("codes", "Codes", [row(parity, [1.0, 2.0], [1.0, 2.0], 0.0), row(parity, [1.0, 2.0], theirs, 0.05)])
    assert parity.broken([table]) == [table.rows[1]]
    assert [("not kept" in line) for line in parity.table_lines(table)[2:]] == [False, True]


def test_other_classes_break_a_row_whose_probabilities_are_near(parity):
    ours, theirs = np.array([[0.51, 0.49], [0.9, 0.1]]), np.array([[0.49, 0.51], [0.9, 0.1]])
    compared = row(parity, ours, theirs, 0.1)
    assert compared.kept and parity.with_classes(compared, ours, theirs, 1).kept
    assert not parity.with_classes(compared, ours, theirs, 0).kept


def test_arrays_that_do_not_match_are_no_comparison(parity):
    with pytest.raises(ValueError, match="shapes"):
        row(parity, [1.0], [1.0, 1.0], 1.0)
    with pytest.raises(ValueError, match="nothing to compare"):
        row(parity, [], [], 1.0)


@pytest.mark.parametrize(("tolerance", "code"), [(0.5, 0), (0.1, 1)])
def test_the_exit_code_tells_a_broken_tolerance(parity, monkeypatch, capsys, tmp_path, tolerance, code):
    table = parity.Table("pixels", "Pixels", [row(parity, [1.0], [1.25], tolerance)])
    monkeypatch.setattr(parity, "COMPARISONS", {"pixels": lambda work: [table]})
    monkeypatch.setattr("sys.argv", ["parity.py", str(DATA), "--program", str(SCRIPT), "--work", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        parity.main()
    assert ended.value.code == code
    assert ("not kept: codes, Keras: 0.25" in capsys.readouterr().err) == bool(code)


def test_what_is_missing_is_skipped_by_name(parity, monkeypatch, capsys, tmp_path):
    def lacks(work):
        parity.package("no_such_package_of_parity")

    monkeypatch.setattr(parity, "COMPARISONS", {"codes": lacks})
    monkeypatch.setattr("sys.argv", ["parity.py", str(DATA), "--program", str(SCRIPT), "--work", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        parity.main()
    assert ended.value.code == 0
    assert "Skipped: codes: no_such_package_of_parity is not installed" in capsys.readouterr().out


def test_a_page_gets_tables_between_its_marks_alone(parity, tmp_path):
    page = tmp_path / "page.md"
    mark, end = "<!-- parity: data codes -->\n", "<!-- parity: end -->\n"
    page.write_text(f"before\n{mark}old\n{end}between\n<!-- parity: other codes -->\nkept\n{end}after\n", "utf-8")
    for _ in range(2):
        parity.write_page(page, "data", {"codes": [r"| \1 |"]})
    text = page.read_text("utf-8")
    assert text == f"before\n{mark}\n| \\1 |\n\n{end}between\n<!-- parity: other codes -->\nkept\n{end}after\n"
    with pytest.raises(SystemExit, match="no place for data pixels"):
        parity.write_page(page, "data", {"pixels": []})


def test_the_page_has_a_place_for_every_table():
    text = (ROOT / "docs/parity.md").read_text("utf-8")
    for name in ("data", "produce"):
        for part in PARTS:
            assert text.count(f"<!-- parity: {name} {part} -->\n") == 1, (name, part)
    assert "**not kept**" not in text


def test_the_generator_is_xoshiro(parity):
    # The first numbers from the state 1, 2, 3, 4, of its authors' code; the upper halves count.
    generator = parity.Xoshiro256PlusPlus(0)
    generator.state = [1, 2, 3, 4]
    expected = [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205]
    assert [generator.next_u32() for _ in expected] == [number >> 32 for number in expected]


def test_pixels_are_pillows_but_for_the_decoder(parity, models, tmp_path):
    pytest.importorskip("PIL")
    given = parity.arguments([str(DATA), "--program", str(SCRIPT), "--models", str(models), "--pictures", "2", "--only", "pixels"])
    assert parity.run(given, tmp_path) == []
