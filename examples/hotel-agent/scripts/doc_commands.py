"""Checks that the commands a Markdown section shows can be carried out, and prints one JSON object.

    python doc_commands.py FILE "Section title"

Every line of a fenced `sh` block in that section is a command. `pip install` lines are resolved against the package
index without installing anything; `export NAME=value` needs nothing; of anything else the program must exist.
"""
import json
import re
import shlex
import shutil
import subprocess
import sys


def section(text, title):
    """The lines from the heading up to the next one of the same or a higher level."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        found = re.match(r"(#+)\s+(.*)", line)
        if found and found.group(2).strip() == title:
            level = len(found.group(1))
            body = []
            for later in lines[at + 1:]:
                heading = re.match(r"(#+)\s", later)
                if heading and len(heading.group(1)) <= level:
                    break
                body.append(later)
            return body
    return None


def commands(body):
    inside = False
    for line in body:
        if line.startswith("```"):
            inside = not inside and line.strip() in ("```sh", "```bash", "```shell")
        elif inside and line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def resolves(command):
    words = shlex.split(command)
    if words[0] == "export":
        return bool(re.match(r"[A-Z_]+=.+", " ".join(words[1:]))), "sets a variable"
    if "pip" in words and "install" in words:
        wanted = words[words.index("install") + 1:]
        # Metadata of the named packages only: the GPU extra alone would be gigabytes.
        asked = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--quiet"] + wanted
        done = subprocess.run(asked, capture_output=True, text=True)
        return done.returncode == 0, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "resolved"
    return shutil.which(words[0]) is not None, "program " + words[0]


def main():
    path, title = sys.argv[1:3]
    with open(path, encoding="utf-8") as file:
        body = section(file.read(), title)
    if body is None:
        print("%s has no section %r" % (path, title), file=sys.stderr)
        return 1
    checked = []
    for command in commands(body):
        good, why = resolves(command)
        checked.append({"command": command, "resolves": good, "why": why})
        print("%s  %s  (%s)" % ("ok  " if good else "FAIL", command, why), file=sys.stderr)
    print(json.dumps({"section": title, "commands": checked}, sort_keys=True))
    return 0 if checked and all(item["resolves"] for item in checked) else 1


if __name__ == "__main__":
    sys.exit(main())
