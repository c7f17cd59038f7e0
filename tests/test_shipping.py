from handlens import shipping

EXPORT = {
    "passed": False,
    "reasons": "int8: accuracy falls",
    "photos": 50,
    "eager_ms": 9.0,
    **{f"fp32_{name}": 1.0 for name in shipping.OF_A_FILE},
    **{f"int8_{name}": 0.5 for name in shipping.OF_A_FILE},
}


def test_a_row_per_file_the_smallest_first():
    table = shipping.table({"small": EXPORT, "large": {**EXPORT, "fp32_megabytes": 9.0}})
    assert list(zip(table["model"], table["kind"], strict=True)) == [
        ("large", "int8"),
        ("small", "int8"),
        ("small", "fp32"),
        ("large", "fp32"),
    ]
    assert table["agreement"].tolist() == [0.5, 0.5, 1.0, 1.0]
