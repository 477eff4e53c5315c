"""Checks an alert playbook and prints one JSON object; what is wrong also goes to stderr, a line each.

    python playbook.py FILE SECTION...

Each section must be there once, name an owner and a first action of a few words, and say more than that. Metrics
(`hotel_...`), settings (`UPPER_CASE`) and addresses (`/path`) that it mentions must exist in the service: a playbook that
names what is gone leads nowhere at night. Exit code: 0 all right, 1 something is wrong, 2 the file can't be read.
"""
import glob
import json
import re
import sys

PLACEHOLDER = re.compile(r"^\W*(tbd|tbc|todo|fixme|xxx+|n/?a|none|nobody|unknown|\?+|\.\.\.|-+)?\W*$", re.IGNORECASE)


def sections(text):
    """Body lines by heading text; a section ends at the next heading of the same or a higher level."""
    found = {}
    opened = []
    fenced = False
    for line in text.splitlines():
        fenced = fenced != line.startswith("```")
        heading = None if fenced else re.match(r"(#+)\s+(.*?)\s*#*$", line)
        if heading:
            opened = [(level, body) for level, body in opened if level < len(heading.group(1))]
            body = []
            found.setdefault(heading.group(2), []).append(body)
            opened.append((len(heading.group(1)), body))
            continue
        for _, body in opened:
            body.append(line)
    return found


def field(body, name):
    """The paragraph that `**Name:**` begins, or None."""
    for at, line in enumerate(body):
        start = re.match(r"\*\*%s:?\*\*:?\s*(.*)" % re.escape(name), line, re.IGNORECASE)
        if start:
            words = [start.group(1)]
            for later in body[at + 1:]:
                if not later.strip() or later.startswith(("**", "#", "- ", "1. ")):
                    break
                words.append(later)
            return " ".join(" ".join(words).split())
    return None


def gone(body, sources, settings):
    """What is mentioned and exists nowhere."""
    for word in re.findall(r"`([^`]+)`", "\n".join(body)):
        if re.match(r"hotel_[a-z_]+", word) and re.match(r"hotel_[a-z_]+", word).group(0) not in sources:
            yield "the metric `%s`" % re.match(r"hotel_[a-z_]+", word).group(0)
        elif re.match(r"[A-Z]+(_[A-Z]+)+$", word) and word not in settings:
            yield "the setting `%s`" % word
        elif re.match(r"/[a-z0-9/_-]+$", word) and '"%s"' % word not in sources:
            yield "the address `%s`" % word


def judge(name, bodies, sources, settings):
    """What is known of a section, and what is wrong with it."""
    if not bodies:
        return None, ["section %s is missing" % name]
    wrong = []
    if len(bodies) > 1:
        wrong.append("section %s stands there %d times" % (name, len(bodies)))
    body = bodies[0]
    if not any(line.strip() for line in body):
        return None, wrong + ["section %s is empty" % name]
    facts = {"words": len(" ".join(body).split())}
    for key, label, least in (("owner", "Owner", 1), ("first_action", "First action", 5)):
        text = field(body, label)
        facts[key] = text
        if text is None:
            wrong.append("section %s has no %s: write a line `**%s:** ...`" % (name, label.lower(), label))
        elif PLACEHOLDER.match(text):
            wrong.append("section %s has nobody and nothing under **%s:**, only `%s`" % (name, label, text))
        elif len(text.split()) < least:
            wrong.append("section %s: the %s is no instruction: `%s`" % (name, label.lower(), text))
    wrong += ["section %s mentions %s, which the service does not have" % (name, what) for what in gone(body, sources, settings)]
    return facts, wrong


def main():
    path, names = sys.argv[1], sys.argv[2:]
    try:
        with open(path, encoding="utf-8") as file:
            found = sections(file.read())
    except (OSError, UnicodeDecodeError) as error:
        print("playbook.py: %s" % error, file=sys.stderr)
        return 2
    sources = ""
    for source in sorted(glob.glob("app/*.py")):
        with open(source, encoding="utf-8") as file:
            sources += file.read()
    with open(".env.staging.template", encoding="utf-8") as file:
        settings = sources + file.read()
    report = {"file": path, "sections": {}, "problems": []}
    for name in names:
        facts, wrong = judge(name, found.get(name, []), sources, settings)
        if facts is not None:
            report["sections"][name] = facts
        report["problems"] += wrong
    print(json.dumps(report, indent=2, ensure_ascii=False))
    for problem in report["problems"]:
        print("%s: %s" % (path, problem), file=sys.stderr)
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
