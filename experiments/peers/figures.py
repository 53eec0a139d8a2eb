def write_tables(study, out):
    (out / "tables.md").write_text("")


def draw_ratios(study, path):
    pass
