"""Whether this checkout is ready to be tagged: ``python .ci/release_check.py``, part of ``make release-check``.

The version stands in v2s_sklearn/_version.py; CITATION.cff and CHANGELOG.md repeat it. Ends non-zero with a line for
each problem; what only the maintainer can fill in is said last and does not count as one.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PLACEHOLDERS = r"[^\s\"*]*\bexample\.(?:org|invalid)[^\s\"*]*"


def find_problems(root):
    """Return what does not fit together in the files of a checkout, a sentence each."""
    version = re.search(r'^__version__ = "(.+)"$', (root / "v2s_sklearn" / "_version.py").read_text(), re.M)[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    problems = []
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        problems.append(f"v2s_sklearn/_version.py has {version!r}; needed is a release, such as 1.2.3 or 1.2.3rc1.")
    if "version" in project or "version" not in project.get("dynamic", ()):
        problems.append("pyproject.toml has a version of its own. Leave it dynamic: it is read from _version.py.")
    if str(citation.get("version")) != version:
        problems.append(f"CITATION.cff has version {citation.get('version')}, _version.py has {version}.")
    heading = re.search(r"^## (.+)$", (root / "CHANGELOG.md").read_text(), re.M)
    expected = f"{version} ({citation.get('date-released')})"
    if heading is None or heading[1] != expected:
        problems.append(
            f"CHANGELOG.md begins with {heading and heading[1]!r}; by _version.py and CITATION.cff it has to be "
            f"{expected!r}."
        )
    if project["license"] != citation.get("license"):
        problems.append(f"CITATION.cff has license {citation.get('license')}, pyproject.toml {project['license']}.")
    return problems


def find_git_problems(root):
    """Return what git says against a tag."""
    version = re.search(r'"(.+)"', (root / "v2s_sklearn" / "_version.py").read_text().splitlines()[-1])[1]

    def git(*arguments):
        """Return what a command of git prints."""
        return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()

    problems = []
    changed = git("status", "--porcelain")
    if changed:
        problems.append(f"The tree is not clean; commit or remove:\n{changed}")
    if git("tag", "--list", f"v{version}"):
        problems.append(f"There is a tag v{version} already. Raise the version.")
    return problems


def left_to_fill_in(root):
    """Return the addresses that are placeholders, with the file that each stands in."""
    texts = {name: (root / name).read_text() for name in ("pyproject.toml", "SECURITY.md")}
    return [f"{name}: {found}" for name, text in texts.items() for found in re.findall(PLACEHOLDERS, text)]


def main():
    """Print the problems."""
    problems = find_problems(ROOT) + find_git_problems(ROOT)
    for problem in problems:
        print(problem)
    for placeholder in left_to_fill_in(ROOT):
        print(f"Before uploading, replace the placeholder in {placeholder}")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
