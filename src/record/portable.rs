//! Takes this machine's workspace path out of texts. Knows no file system and no format.

use serde::Serialize;
use serde_json::Value;

use super::canonical::{self, CanonicalError};

/// What stands in place of the absolute path of the workspace.
const PLACEHOLDER: &str = "{{ plan.workspace }}";

/// Replaces `workspace` (absolute) in every string below `value`, wherever it stands as a whole path.
pub(super) fn without_workspace(value: &mut Value, workspace: &str) {
    let workspace = workspace.trim_end_matches('/');
    if workspace.len() < 2 {
        return;
    }
    walk(value, workspace);
}

/// Canonical text of an item, without the workspace's path. Nearly nothing names it: then there is no tree in between.
///
/// # Errors
/// As [`canonical::to_bytes`].
pub(super) fn to_bytes(item: &impl Serialize, workspace: &str) -> Result<Vec<u8>, CanonicalError> {
    let bytes = canonical::to_bytes(item)?;
    if !may_name(&bytes, workspace) {
        return Ok(bytes);
    }
    let mut value = serde_json::to_value(item).map_err(|e| CanonicalError::Serialize(e.to_string()))?;
    without_workspace(&mut value, workspace);
    canonical::value_bytes(&value)
}

/// Whether canonical text may hold that path somewhere: whatever has escapes in it is not looked for.
pub(super) fn may_name(text: &[u8], workspace: &str) -> bool {
    let workspace = workspace.trim_end_matches('/');
    let plain = |c: char| !c.is_control() && !matches!(c, '"' | '\\');
    match std::str::from_utf8(text) {
        Ok(text) if workspace.chars().all(plain) => text.contains(workspace),
        _ => true,
    }
}

fn walk(value: &mut Value, workspace: &str) {
    match value {
        Value::String(text) => {
            if let Some(changed) = replace(text, workspace) {
                *text = changed;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, workspace)),
        Value::Object(members) => members.values_mut().for_each(|member| walk(member, workspace)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `None` if there is nothing to replace.
fn replace(text: &str, workspace: &str) -> Option<String> {
    let mut out = String::new();
    let mut from = 0;
    for (at, _) in text.match_indices(workspace) {
        let end = at + workspace.len();
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let before = text[..at].chars().next_back().is_some_and(|c| inside(c) || c == '/');
        let after = text[end..].chars().next().is_some_and(inside);
        if !before && !after && at >= from {
            out.push_str(&text[from..at]);
            out.push_str(PLACEHOLDER);
            from = end;
        }
    }
    (from > 0).then(|| {
        out.push_str(&text[from..]);
        out
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_whole_path_is_replaced() {
        let mut value = json!({
            "a": "/w/x/bin:/w/x", "b": ["/w/xy", "/w/x-1", "/mnt/w/x", "/w/x.old"], "c": "--root=/w/x/", "d": 5, "e": "//w/x",
        });
        without_workspace(&mut value, "/w/x/");
        assert_eq!(
            value,
            json!({
                "a": "{{ plan.workspace }}/bin:{{ plan.workspace }}",
                "b": ["/w/xy", "/w/x-1", "/mnt/w/x", "/w/x.old"],
                "c": "--root={{ plan.workspace }}/",
                "d": 5,
                "e": "//w/x",
            })
        );
    }

    #[test]
    fn the_root_as_workspace_changes_nothing() {
        let mut value = json!("/bin/sh");
        without_workspace(&mut value, "/");
        assert_eq!(value, json!("/bin/sh"));
    }
}
