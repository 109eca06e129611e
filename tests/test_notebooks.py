from service.notebooks import MOST_ROWS, Listing, Row, Shown, table_of


class Fruit(Shown):
    columns = ("name", "weight")
    words = "{0.name}, {0.weight:.0f} g"

    def __init__(self, name: str, weight: float) -> None:
        self.name, self.weight = name, weight


def test_a_result_is_a_short_line_and_a_table() -> None:
    apple = Fruit("apple", 181.6)
    assert repr(apple) == str(apple) == "Fruit(apple, 182 g)"
    assert apple._repr_html_() == (
        "<table><caption>apple, 182 g</caption><thead><tr><th>name</th><th>weight</th></tr></thead>"
        "<tbody><tr><td>apple</td><td>181.6</td></tr></tbody></table>"
    )


def test_several_are_one_table_and_a_list_all_the_same() -> None:
    fruits = Listing([Fruit("apple", 1.0), Fruit("pear", 2.0)])
    assert fruits == list(fruits)
    assert fruits._repr_html_().count("<tr>") == 3
    assert Listing[Fruit]()._repr_html_() == "<table><thead><tr></tr></thead><tbody></tbody></table>"


def test_what_stands_in_a_table_is_text() -> None:
    assert "&lt;script&gt;" in table_of([{"<script>": "<script>"}], caption="<script>")
    assert "<script>" not in table_of([{"<script>": "<script>"}], caption="<script>")


def test_rows_may_lack_what_others_have_and_a_long_table_ends() -> None:
    rows: list[Row] = [{"a": 1}, {"a": None, "b": 2.123456}]
    assert "<tr><td>1</td><td></td></tr><tr><td></td><td>2.123</td></tr>" in table_of(rows)
    assert table_of([{"a": 1, "b": 2}] * (MOST_ROWS + 5)).endswith(
        '<tr><td colspan="2">… 5 more</td></tr></tbody></table>'
    )
