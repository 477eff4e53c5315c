//! The name somebody probably meant. Knows only strings.

/// The nearest candidate, if it is near enough to be worth saying. Ties go to the first.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (word.len().max(candidate.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`, each in backticks; at most `most`, then how many more.
pub(super) fn listed<S: AsRef<str>>(words: &[S], most: usize) -> String {
    let shown: Vec<String> = words.iter().take(most).map(|word| format!("`{}`", word.as_ref())).collect();
    if words.len() > most {
        return format!("{} and {} more", shown.join(", "), words.len() - most);
    }
    match shown.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_only() {
        assert_eq!(nearest("statsu", ["exit", "status"]), Some("status"));
        assert_eq!(nearest("Status", ["status"]), Some("status"));
        assert_eq!(nearest("banana", ["exit", "status"]), None);
        assert_eq!(listed(&["a", "b", "c"], 2), "`a`, `b` and 1 more");
        assert_eq!(listed(&["a", "b"], 2), "`a` and `b`");
    }
}
