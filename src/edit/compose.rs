//! A plan from a compose file: bring the services up, see that each answers, take them down at the end. Takes the file as
//! data; knows no Docker.

use serde_json::Value as Json;

use super::draft::{Block, Draft, Step, literal, string, strings};
use super::words::Ids;

/// Makes a plan of a compose file; `name` is its file's name.
///
/// # Errors
/// A sentence where it has no services.
pub fn read(tree: &Json, name: &str) -> Result<Draft, String> {
    let services = tree["services"].as_object().filter(|services| !services.is_empty());
    let services = services.ok_or("it has no `services`")?;
    let file = name.rsplit('/').next().unwrap_or(name);
    let compose = |words: &[&str]| {
        let all = ["docker", "compose", "-f", file].into_iter().map(literal);
        strings(&all.chain(words.iter().map(|word| literal(word))).collect::<Vec<_>>())
    };
    let mut draft = Draft {
        head: vec![format!(
            "Made from {file} by `runplan import`: the services are brought up, each is looked at, and all are taken down at \
             the end. Volumes stay."
        )],
        name: "compose".to_owned(),
        ..Draft::default()
    };
    let mut ids = Ids::default();
    let up = ids.of("up", "up");
    let step = Step::new(up.clone()).key("title", string("Bring the services up")).key("run", compose(&["up", "-d"]));
    draft.blocks.push(Block::Step(step.key("timeout", string("10m"))));
    for (service, about) in services {
        let about = &merged(about);
        let why = if about["profiles"].as_array().is_some_and(|profiles| !profiles.is_empty()) {
            "it has `profiles`, so that `up` does not start it"
        } else if is_job(service, services) {
            "it is a job that others wait for, and ends"
        } else {
            looks(&mut draft, &mut ids, service, about, &up, &compose);
            continue;
        };
        draft.blocks.push(Block::Note(format!("Left out: `{service}`: {why}.")));
    }
    let down = Step { finally: true, ..Step::new("down") }.key("title", string("Take the services down"));
    draft.blocks.push(Block::Step(down.key("run", compose(&["down"])).key("timeout", string("2m"))));
    Ok(draft)
}

/// The steps that look at a service.
fn looks(draft: &mut Draft, ids: &mut Ids, service: &str, about: &Json, up: &str, compose: &dyn Fn(&[&str]) -> String) {
    let (ports, unclear) = ports(&about["ports"]);
    let health = health_path(&about["healthcheck"]);
    let sample = "{ within = \"60s\", consecutive = 1 }";
    let mut steps = Vec::new();
    for (host, published, target) in &ports {
        let id = if ports.len() == 1 { service.to_owned() } else { format!("{service} {published}") };
        let step = Step::new(ids.of(&id, "service"));
        let asked = health.as_ref().filter(|(port, _)| port == target);
        steps.push(match asked {
            Some((_, path)) => step
                .key("title", string(&literal(&format!("{service} is healthy"))))
                .key("needs", strings(&[up]))
                .key("http", string(&literal(&format!("http://{host}:{published}{path}"))))
                .key("sample", sample),
            None => step
                .key("title", string(&literal(&format!("{service} accepts connections"))))
                .key("needs", strings(&[up]))
                .key("net", string(&format!("{host}:{published}")))
                .key("sample", sample),
        });
    }
    if steps.is_empty() {
        let step = Step::new(ids.of(service, "service"));
        let check = about["healthcheck"].is_object() && about["healthcheck"]["disable"] != true;
        steps.push(if check {
            step.key("title", string(&literal(&format!("{service} is healthy"))))
                .key("needs", strings(&[up]))
                .key("run", compose(&["up", "-d", "--wait", service]))
                .key("timeout", string("3m"))
        } else {
            step.key("title", string(&literal(&format!("{service} is running"))))
                .key("needs", strings(&[up]))
                .key("run", compose(&["ps", "--status", "running", "--quiet", service]))
                .key("pass", strings(&["count(lines(stdout)) >= 1"]))
        });
    }
    if let (Some(first), false) = (steps.first_mut(), unclear.is_empty()) {
        first.notes.push(format!("Not looked at: the ports {}.", unclear.join(", ")));
    }
    draft.blocks.extend(steps.into_iter().map(Block::Step));
}

/// A service with what it takes over from others by `<<`.
fn merged(about: &Json) -> Json {
    let Some(own) = about.as_object() else { return Json::Object(serde_json::Map::new()) };
    let mut whole = own.clone();
    let bases: Vec<&Json> = match own.get("<<") {
        Some(Json::Array(bases)) => bases.iter().collect(),
        Some(base) => vec![base],
        None => Vec::new(),
    };
    for (key, value) in bases.into_iter().filter_map(Json::as_object).flatten() {
        whole.entry(key.clone()).or_insert_with(|| value.clone());
    }
    Json::Object(whole)
}

/// Whether another service waits for its end.
fn is_job(service: &str, services: &serde_json::Map<String, Json>) -> bool {
    services.values().any(|other| other["depends_on"][service]["condition"] == "service_completed_successfully")
}

/// Host, published port and port inside of each that is published to a port known beforehand; and the others as written.
fn ports(list: &Json) -> (Vec<(String, u16, u16)>, Vec<String>) {
    let (mut found, mut unclear) = (Vec::new(), Vec::new());
    for entry in list.as_array().into_iter().flatten() {
        let (text, port) = match entry {
            Json::Object(long) => {
                let number = |key: &str| plain(long.get(key)?)?.parse::<u16>().ok();
                let host = long.get("host_ip").and_then(Json::as_str).unwrap_or_default();
                let udp = long.get("protocol").is_some_and(|protocol| protocol == "udp");
                let port = number("published").zip(number("target")).filter(|_| !udp);
                (entry.to_string(), port.map(|(published, target)| (reachable(host), published, target)))
            }
            short => {
                let text = plain(short).unwrap_or_default();
                (text.clone(), short_port(&text))
            }
        };
        match port {
            Some(port) if !found.contains(&port) => found.push(port),
            Some(_) => {}
            None => unclear.push(format!("`{text}`")),
        }
    }
    (found, unclear)
}

/// `8080:80`, `127.0.0.1:8080:80/tcp`, `${PORT:-8080}:80`.
fn short_port(text: &str) -> Option<(String, u16, u16)> {
    let text = defaults(text)?;
    let text = text.strip_suffix("/tcp").unwrap_or(&text);
    let mut parts = text.rsplitn(3, ':');
    let target = parts.next()?.parse().ok()?;
    let published = parts.next()?.parse().ok()?;
    Some((reachable(parts.next().unwrap_or_default()), published, target))
}

/// A text with each `${NAME:-default}` replaced by its default; `None` where one has none.
fn defaults(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, after) = after.split_once('}')?;
        out.push_str(before);
        out.push_str(inside.split_once(":-").or_else(|| inside.split_once('-'))?.1);
        rest = after;
    }
    out.push_str(rest);
    (!out.contains('$')).then_some(out)
}

/// Where a port is reached that is published on this address.
fn reachable(host: &str) -> String {
    let host = host.trim_matches(['[', ']']);
    match host {
        "" | "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    }
}

fn plain(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The port inside and the path that a health check asks by HTTP.
fn health_path(check: &Json) -> Option<(u16, String)> {
    let text = match &check["test"] {
        Json::String(text) => text.clone(),
        Json::Array(words) => words.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(" "),
        _ => return None,
    };
    let rest = text.split("http://").nth(1)?;
    let address = rest.split(|c: char| c.is_whitespace() || "'\"|;&)".contains(c)).next()?;
    let (host, path) =
        address.split_once('/').map_or((address, "/".to_owned()), |(host, path)| (host, format!("/{path}")));
    let (name, port) = host.rsplit_once(':').map_or((host, Some(80)), |(name, port)| (name, port.parse().ok()));
    ["localhost", "127.0.0.1", "0.0.0.0", "[::1]"].contains(&name).then_some((port?, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn services_become_looks() {
        let tree = json!({ "services": {
            "web": { "ports": ["${PORT:-8080}:80"], "healthcheck": { "test": ["CMD-SHELL", "curl -f http://localhost/health || exit 1"] } },
            "db": { "ports": [{ "published": "5432", "target": 5432, "host_ip": "0.0.0.0" }, "9000"] },
            "worker": {}, "cache": { "healthcheck": { "test": "redis-cli ping" } },
            "tool": { "profiles": ["debug"] },
            "migrate": {}, "api": { "depends_on": { "migrate": { "condition": "service_completed_successfully" } } },
            "two": { "ports": ["1:1", "[::1]:2:2/tcp", "3:3/udp", "$X:4"] },
        } });
        let text = read(&tree, "d/compose.yml").unwrap().text();
        let has = |part: &str| assert!(text.contains(part), "{part}\n{text}");
        has("run     = [\"docker\", \"compose\", \"-f\", \"compose.yml\", \"up\", \"-d\"]");
        has("http   = \"http://127.0.0.1:8080/health\"");
        has("# Not looked at: the ports `9000`.\n[steps.db]");
        has("net    = \"127.0.0.1:5432\"");
        has("\"ps\", \"--status\", \"running\", \"--quiet\", \"worker\"]");
        has("\"--wait\", \"cache\"]");
        has("# Left out: `tool`: it has `profiles`");
        has("# Left out: `migrate`: it is a job");
        has("[steps.two-1]");
        has("[steps.two-2]\ntitle  = \"two accepts connections\"\nneeds  = [\"up\"]\nnet    = \"[::1]:2\"");
        has("[finally.down]");
        assert!(read(&json!({}), "x").is_err());
    }
}
