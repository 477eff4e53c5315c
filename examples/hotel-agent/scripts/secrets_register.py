"""Holds the register of secrets against the settings template and a day, and says as JSON what is wrong.

    secrets_register.py secrets.toml .env.staging.template 20261124

Every secret that the template fills in has an entry with owner, scope, the day it was last rotated and the longest it may
be used. The day is given, never the clock's: the same input has the same answer.
"""

import datetime
import json
import re
import sys

try:
    import tomllib
except ModuleNotFoundError:  # Python before 3.11
    import tomli as tomllib


def day_of(text):
    text = str(text).replace("-", "")
    return datetime.date(int(text[:4]), int(text[4:6]), int(text[6:8])) if re.fullmatch(r"\d{8}", text) else None


def review(entries, template, today):
    filled = dict(re.findall(r"^(\w+)=\"?\{\{ *secrets\.(\w+) *\}\}", template, re.MULTILINE))
    missing, incomplete, overdue, ages = [], [], [], {}
    for key in sorted(filled):
        if key not in entries:
            missing.append(key)
    for key, entry in sorted(entries.items()):
        for field in ("owner", "scope"):
            if not str(entry.get(field, "")).strip():
                incomplete.append(f"{key}: no {field}")
        rotated, limit = day_of(entry.get("rotated", "")), entry.get("max_age_days")
        if rotated is None:
            incomplete.append(f"{key}: `rotated` is no day such as 2026-11-01")
        elif not isinstance(limit, int) or limit <= 0:
            incomplete.append(f"{key}: `max_age_days` is no number of days")
        elif rotated > today:
            incomplete.append(f"{key}: `rotated` {rotated} is after {today}")
        else:
            ages[key] = (today - rotated).days
            if ages[key] > limit:
                overdue.append(f"{key}: rotated {rotated}, {ages[key]} days ago, {limit} allowed; owner {entry.get('owner')}")
    stale = sorted(set(entries) - set(filled))
    return {"day": str(today), "secrets": len(entries), "missing": missing, "unused": stale, "incomplete": incomplete, "overdue": overdue, "age_days": ages}


def main(register, template, day):
    today = day_of(day)
    if today is None:
        sys.exit(f"secrets_register.py: `{day}` is no day: write YYYYMMDD")
    with open(register, "rb") as file:
        entries = tomllib.load(file)
    with open(template, encoding="utf-8") as file:
        json.dump(review(entries, file.read(), today), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: secrets_register.py REGISTER TEMPLATE YYYYMMDD")
    main(*sys.argv[1:])
