//! Ratchets: thresholds in a committed file beside the plan that rise with what was reached and never fall.
//!
//! `blueprint.toml` keeps them in `blueprint.ratchet.toml`: for each step the subject and the best value so far, as an
//! exact fraction. A run reads it before it starts and writes it only to raise a value.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::Plan;
use crate::facts::{Num, Unit, Value};

const HEAD: &str =
    "# Written by runplan: the best value that each ratchet has reached, exactly. A threshold rises with it and never
# falls. Commit this file; to start again, delete a line.
format = 1

[steps]
";

/// The best value of a step's ratchet.
type Best = BTreeMap<String, (String, Num)>;

/// The file of a plan.
fn file_of(plan: &Plan) -> PathBuf {
    let main = plan.sources.files.first().map_or("blueprint.toml", |source| source.path.as_str());
    Path::new(main).with_extension("ratchet.toml")
}

fn read(path: &Path) -> Result<Best, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Best::new()),
        Err(error) => return Err(format!("can't read `{}`: {error}", path.display())),
    };
    parse(&text).map_err(|reason| {
        format!("`{}` is not a ratchet file: {reason}; mend it, or delete it to start from the floor", path.display())
    })
}

fn parse(text: &str) -> Result<Best, String> {
    let table = DeTable::parse(text).map_err(|error| error.message().to_owned())?;
    let mut best = Best::new();
    let Some(steps) = table.get_ref().get("steps") else { return Ok(best) };
    let DeValue::Table(steps) = steps.get_ref() else { return Err("`steps` is not a table".to_owned()) };
    for (name, entry) in steps {
        let field = |key: &str| match entry.get_ref() {
            DeValue::Table(entry) => entry.get(key).and_then(|value| value.get_ref().as_str()).map(str::to_owned),
            _ => None,
        };
        let (Some(subject), Some(value)) = (field("subject"), field("best")) else {
            return Err(format!("`steps.{}` needs `subject` and `best`", name.get_ref()));
        };
        let value = value.parse().map_err(|error| format!("`steps.{}.best` is {error}", name.get_ref()))?;
        best.insert(name.get_ref().to_string(), (subject, value));
    }
    Ok(best)
}

fn write(best: &Best) -> String {
    let quoted = |text: &str| serde_json::Value::String(text.to_owned()).to_string();
    let lines = best.iter().map(|(name, (subject, value))| {
        format!("{} = {{ subject = {}, best = \"{value}\" }}\n", quoted(name), quoted(subject))
    });
    lines.fold(HEAD.to_owned(), |text, line| text + &line)
}

/// What `ratchet` stands for in each step that has one: `max(floor, min(goal, best - slack))`.
///
/// # Errors
/// One sentence, if the file can't be read or understood.
pub fn values(plan: &Plan) -> Result<BTreeMap<String, Value>, String> {
    let mut values = BTreeMap::new();
    let with = || plan.steps.iter().filter_map(|step| Some((step, step.ratchet.as_ref()?)));
    if with().next().is_none() {
        return Ok(values);
    }
    let best = read(&file_of(plan))?;
    for (step, ratchet) in with() {
        let reached = best.get(&step.name).filter(|(subject, _)| *subject == ratchet.subject).map(|(_, num)| *num);
        values.insert(
            step.name.clone(),
            threshold(&ratchet.floor, ratchet.goal.as_ref(), ratchet.slack.as_ref(), reached),
        );
    }
    Ok(values)
}

fn threshold(floor: &Value, goal: Option<&Value>, slack: Option<&Value>, reached: Option<Num>) -> Value {
    let number = |value: &Value| if let Value::Num(num, _) = value { Some(*num) } else { None };
    let (Value::Num(lowest, unit), Some(reached)) = (floor, reached) else { return floor.clone() };
    let slack = slack.and_then(number).unwrap_or(Num::int(0));
    let risen = reached.minus(slack).unwrap_or(*lowest);
    let risen = goal.and_then(number).map_or(risen, |goal| risen.min(goal));
    Value::Num(risen.max(*lowest), *unit)
}

/// Writes what was reached where that raises a threshold; at the goal the file stays as it is. `reached`: step name to
/// the exact value.
///
/// # Errors
/// When the file can't be written.
pub fn raise(plan: &Plan, reached: &BTreeMap<String, Value>) -> io::Result<()> {
    if reached.is_empty() {
        return Ok(());
    }
    let path = file_of(plan);
    let mut best = read(&path).map_err(io::Error::other)?;
    let mut raised = false;
    for step in &plan.steps {
        let (Some(ratchet), Some(Value::Num(num, _))) = (&step.ratchet, reached.get(&step.name)) else { continue };
        let before = best.get(&step.name).filter(|(subject, _)| *subject == ratchet.subject).map(|(_, num)| *num);
        let at = |num| threshold(&ratchet.floor, ratchet.goal.as_ref(), ratchet.slack.as_ref(), num);
        if let (Value::Num(now, _), Value::Num(earlier, _)) = (at(Some(*num)), at(before))
            && now > earlier
        {
            best.insert(step.name.clone(), (ratchet.subject.clone(), *num));
            raised = true;
        }
    }
    if !raised {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(write(&best).as_bytes())?;
    std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(&path)?;
    Ok(())
}

/// A plan's number on the scale of the subject: a plain `32` beside a percentage is the fraction 32/100. None if the
/// units don't go together.
pub(super) fn in_unit(num: Num, given: Unit, subject: Unit) -> Option<Value> {
    match (given, subject) {
        (given, subject) if given == subject => Some(Value::Num(num, subject)),
        (Unit::One, Unit::Percent) => num.times(Num { num: 1, den: 100 }).map(|share| Value::Num(share, subject)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(num: i128, den: i128) -> Value {
        Value::Num(Num::ratio(num, den).unwrap(), Unit::Percent)
    }

    #[test]
    fn a_threshold_rises_to_the_goal_and_never_falls_below_the_floor() {
        let (floor, goal, slack) = (percent(32, 100), percent(55, 100), percent(2, 1000));
        let at = |reached: Option<(i128, i128)>| {
            threshold(&floor, Some(&goal), Some(&slack), reached.map(|(n, d)| Num::ratio(n, d).unwrap()))
        };
        assert_eq!(at(None), floor);
        assert_eq!(at(Some((10, 100))), floor);
        assert_eq!(at(Some((40, 100))), percent(398, 1000));
        assert_eq!(at(Some((96, 100))), goal);
    }

    #[test]
    fn plain_numbers_take_the_scale_of_the_subject() {
        assert_eq!(in_unit(Num::int(32), Unit::One, Unit::Percent), Some(percent(32, 100)));
        assert_eq!(in_unit(Num::int(32), Unit::One, Unit::One), Some(Value::Num(Num::int(32), Unit::One)));
        assert_eq!(in_unit(Num::ratio(1, 2).unwrap(), Unit::Percent, Unit::Percent), Some(percent(1, 2)));
        assert_eq!(in_unit(Num::int(5), Unit::Time, Unit::Percent), None);
    }

    #[test]
    fn the_file_reads_back_exactly() {
        let best = Best::from([("a-b".to_owned(), ("percent(lines)".to_owned(), Num::ratio(157, 500).unwrap()))]);
        let text = write(&best);
        assert_eq!(parse(&text).unwrap(), best);
        assert!(text.contains("best = \"157/500\""));
        assert!(parse("[steps]\na = 1\n").is_err());
        assert!(parse("[steps]\na = { subject = \"x\", best = \"1/0\" }\n").is_err());
    }
}
