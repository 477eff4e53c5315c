"""Looks for secrets in the tree with detect-secrets and says, as JSON, which of them nobody has looked at.

    secrets_scan.py .secrets.baseline

A finding counts as reviewed if the baseline has it with `"is_secret": false`. To review one:

    python -m detect_secrets scan --baseline .secrets.baseline        # adds what is new
    python -m detect_secrets audit .secrets.baseline                  # asks about each

Or write `pragma: allowlist secret` in a comment on its line. A finding that was audited as real stays unreviewed: take it
out of the tree, and rotate it. What the tree's tools generate is not looked at.
"""

import json
import subprocess
import sys

GENERATED = r"(^|/)(\.venv|\.runplan|\.canary|\.release|\.pytest_cache|__pycache__|htmlcov|deploys|out)/"
FILES = r"(^|/)(\.env\.staging|\.coverage|coverage\.(json|xml)|junit\.xml|bandit\.sarif|canary\.json|\.secrets\.baseline|security-baseline\.sarif)$"


def main(baseline_path):
    with open(baseline_path, encoding="utf-8") as file:
        baseline = json.load(file)["results"]
    reviewed = {
        (path, entry["type"], entry["hashed_secret"])
        for path, entries in baseline.items()
        for entry in entries
        if entry.get("is_secret") is False
    }
    command = [sys.executable, "-m", "detect_secrets", "scan", "--all-files"]
    command += ["--exclude-files", GENERATED, "--exclude-files", FILES, "."]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"secrets_scan.py: detect-secrets failed: {done.stderr.strip()[-500:]}")
    scan = json.loads(done.stdout)
    found = [
        (path.removeprefix("./"), entry["line_number"], entry["type"], entry["hashed_secret"])
        for path, entries in scan["results"].items()
        for entry in entries
    ]
    open_ones = sorted(f"{path}:{line}: {kind}" for path, line, kind, digest in found if (path, kind, digest) not in reviewed)
    report = {"scanner": f"detect-secrets {scan['version']}", "plugins": len(scan["plugins_used"]), "reviewed": len(found) - len(open_ones), "unreviewed": open_ones}
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: secrets_scan.py BASELINE")
    main(sys.argv[1])
