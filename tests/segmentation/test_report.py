"""The report on masks, for any image names."""

import csv

from PIL import Image

from fvgpt.segmentation.jobs import Job, Record
from fvgpt.segmentation.report import write_report


def test_names_are_not_markup_and_not_formulas(tmp_path):
    (tmp_path / '_report').mkdir()
    Image.new('RGB', (8, 8)).save(tmp_path / 'image.png')
    names = ['=cmd|x', '<script>alert(1)</script>', 'a|b']
    records = [Record(name, 'made', 0.5, 0.9, '<b>maker</b>') for name in names]
    records.append(Record('@x', 'failed', problem='@x<i>: no\nimage'))
    files = {
        record.name: Job(record.name, tmp_path / 'image.png', tmp_path / 'image.png', None)
        for record in records
    }
    write_report(tmp_path, 'grabcut', records, files)
    text = (tmp_path / '_report' / 'report.md').read_text()
    for part in (
        r'| =cmd\|x | 0.500',
        '| &lt;script&gt;alert(1)&lt;/script&gt; |',
        r'| a\|b |',
        '- @x&lt;i&gt;: no image',
        'by &lt;b&gt;maker',
    ):
        assert part in text
    assert '<script>' not in text and '<b>' not in text
    with open(tmp_path / '_report' / 'images.csv', newline='') as file:
        assert [row['name'] for row in csv.DictReader(file)] == ["'=cmd|x", *names[1:], "'@x"]
