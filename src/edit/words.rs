//! Words of people as ids, roles and tags: accents folded, whatever the language. Knows no plan.

use std::collections::HashSet;

/// Longest id that is made of a text, so that it can be typed.
const LONGEST: usize = 40;

/// A text in lower-case ASCII words, joined by `-`; empty if it has none.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        let folded = fold(c);
        if folded.is_empty() && !slug.is_empty() && !slug.ends_with('-') && !is_mark(c) {
            slug.push('-');
        }
        slug.push_str(folded);
    }
    slug.trim_matches('-').to_owned()
}

/// As [`slug`], cut between two words where it is long.
pub(super) fn short_slug(text: &str) -> String {
    let whole = slug(text);
    if whole.len() <= LONGEST {
        return whole;
    }
    let cut = &whole[..=LONGEST];
    let end = cut.rfind('-').filter(|end| *end >= LONGEST / 2).unwrap_or(LONGEST);
    whole[..end].trim_end_matches('-').to_owned()
}

/// A combining mark: it belongs to the letter before it and parts no words.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\'' | '’')
}

/// A lower-case character in ASCII letters and digits; nothing for any other.
fn fold(c: char) -> &'static str {
    const ASCII: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
    if let Some(at) = ASCII.find(c) {
        return &ASCII[at..=at];
    }
    match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'č' | 'ċ' | 'ĉ' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ì'..='ï' | 'ī' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ř' => "r",
        'ś' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    }
}

/// Ids that were given away.
#[derive(Default)]
pub(super) struct Ids(HashSet<String>);

impl Ids {
    /// An id of its own, like this text; like `other` where the text has no letter of ours.
    pub(super) fn of(&mut self, text: &str, other: &str) -> String {
        let base = Some(short_slug(text)).filter(|slug| !slug.is_empty()).unwrap_or_else(|| other.to_owned());
        let mut id = base.clone();
        let mut n = 1;
        while !self.0.insert(id.clone()) {
            n += 1;
            id = format!("{base}-{n}");
        }
        id
    }
}

/// Whether a text holds one of these words, as a whole word and whatever its accents.
pub(super) fn has_word(text: &str, words: &[&str]) -> bool {
    let slug = format!("-{}-", slug(text));
    words.iter().any(|word| slug.contains(&format!("-{word}-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_are_folded() {
        assert_eq!(slug("Añadir receiver (Slack) y/o e‑mail: ¡ya!"), "anadir-receiver-slack-y-o-e-mail-ya");
        assert_eq!(slug("Über straße, œuvre, Łódź, e\u{301}te\u{301}"), "uber-strasse-oeuvre-lodz-ete");
        assert_eq!(slug("— 漢字 —"), "");
        assert_eq!(slug("don't"), "dont");
    }

    #[test]
    fn ids_are_short_and_each_their_own() {
        let mut ids = Ids::default();
        let long = "Generar el fichero de entorno desde su plantilla sin valores de relleno";
        assert_eq!(ids.of(long, "x"), "generar-el-fichero-de-entorno-desde-su");
        assert_eq!(ids.of(long, "x"), "generar-el-fichero-de-entorno-desde-su-2");
        assert_eq!(ids.of(&"a".repeat(90), "x").len(), 40);
        assert_eq!((ids.of("漢", "item"), ids.of("字", "item")), ("item".to_owned(), "item-2".to_owned()));
        assert_eq!(ids.of("item 2", "x"), "item-2-2");
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("Aprobación: PO", &["aprobacion"]) && !has_word("Firmware", &["firma"]));
    }
}
