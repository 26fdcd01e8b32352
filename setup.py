"""``pip install .`` installs projects/fvgpt as the package ``fvgpt``."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements(name: str) -> list:
    lines = (HERE / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith(('#', '-'))]


packages = ['fvgpt'] + [f'fvgpt.{package}' for package in find_packages('projects/fvgpt')]

setup(
    name='fvgpt',
    version='0.1.0',
    description='FVG-PT: foreground view-guided prompt tuning for CLIP, '
    'a plug-in for MMEngine and MMPretrain',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    package_dir={'fvgpt': 'projects/fvgpt'},
    packages=packages,
    # mim and MMEngine's config loader search .mim; its configs and tools are links to ours
    package_data={
        'fvgpt': [
            'assets/*.json',
            'assets/*/*',
            '.mim/*.yml',
            '.mim/configs/**/*.py',
            '.mim/configs/**/*.yml',
            '.mim/tools/*.py',
            '.mim/tools/*.sh',
            '.mim/tools/*.bash',
        ]
    },
    # mmcv or mmcv-lite is needed; neither is required here, so that a full mmcv is never replaced
    install_requires=requirements('runtime'),
    extras_require=dict(
        {
            extra: requirements(extra)
            for extra in (
                'demo',
                'export',
                'segment-rembg',
                'segment-transformers',
                'slurm',
                'tests',
            )
        },
        lite=['mmcv-lite>=2.0,<2.4'],
    ),
)
