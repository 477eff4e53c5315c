//! What a certificate says of itself: until when it is valid and for which names. Verifies nothing.

use std::collections::BTreeMap;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::facts::{Num, Unit, Value};

/// Facts of a DER certificate: `expires_in` (Time from `now`, milliseconds since 1970; negative once it has expired),
/// `names` (List of Text), `issuer` (Text).
///
/// # Errors
/// It is none.
pub(super) fn facts(der: &[u8], now: i64) -> Result<BTreeMap<String, Value>, String> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let until = i128::from(certificate.validity().not_after.timestamp());
    let left = until * 1_000_000_000 - i128::from(now) * 1_000_000;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let mut names: Vec<String> = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    Ok(BTreeMap::from([
        ("expires_in".to_owned(), Value::Num(Num::int(left), Unit::Time)),
        ("names".to_owned(), Value::List(names.into_iter().map(Value::Text).collect())),
        ("issuer".to_owned(), Value::Text(certificate.issuer().to_string())),
    ]))
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| std::net::Ipv6Addr::from(sixteen).to_string())
}
