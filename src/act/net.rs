//! `net`: whether a port is open, what a name resolves to, what a TLS server shows. Sends no data of its own.
//!
//! Facts of `tcp`: `open` (Bool), `addrs` (List of Text, sorted; what the host resolves to); if open `peer` (Text) and
//! `latency` (Time until the connection stood), else `reason` (Text). Of `dns`: `addrs`, empty if there is no such name. Of
//! `tls`: those of `tcp`, and if open `tls` (Map): `version` (`1.2`, `1.3`), `trusted` (Bool: the certificate is valid now, for that name, from an
//! issuer that this machine or `ca` knows), `reason` (Text, if it is not), `expires_in` (Time), `names` (List), `issuer`.
//! Inspected: 1 `address` or `name`. A resolver that is down and a server that does not speak TLS are errors.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::blocking::{ended, misrouted};
use super::cert;
use super::process::spoken;
use super::{Act, ActError, Lent, Look, Observation, Request};
use crate::action::{Action, NetLook, NetSpec};
use crate::facts::{Facts, Value};
use crate::files::{self, plain};
use crate::outcome::{Cause, Note};

/// The `net` action.
#[derive(Clone, Copy, Debug, Default)]
pub struct Net;

impl Act for Net {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Net(spec) = &request.action else { return Err(misrouted(request, "net")) };
            tokio::select! {
                biased;
                error = ended(lent, request.deadline) => Err(error),
                seen = look(spec, request, lent) => seen.map_err(|detail| ActError::new(Cause::ActionError, detail)),
            }
        })
    }
}

async fn look(spec: &NetSpec, request: &Request, lent: &Lent) -> Result<Observation, String> {
    match &spec.look {
        NetLook::Dns(name) => {
            let mut facts = Facts::about(1, "name");
            let name = name.as_str();
            let found = timeout(spec.timeout, resolve(name, 0)).await;
            let found = found.map_err(|_| format!("no answer about `{name}` within {}", spoken(spec.timeout)))??;
            facts.set("addrs", addresses(&found));
            Ok(Observation { facts, ..Observation::default() })
        }
        NetLook::Tcp(address) => {
            let mut facts = Facts::about(1, "address");
            let (host, port) = split(address.as_str())?;
            connect(host, port, spec, &mut facts).await?;
            Ok(Observation { facts, ..Observation::default() })
        }
        NetLook::Tls { address, name, ca } => {
            let mut facts = Facts::about(1, "address");
            let (host, port) = split(address.as_str())?;
            let name = name.as_ref().map_or(host, |name| name.as_str());
            let mut notes = Vec::new();
            let ca = ca.as_ref().map(crate::action::Text::as_str);
            let (config, witness) = config(ca, &request.workspace)?;
            if let Some(stream) = connect(host, port, spec, &mut facts).await? {
                let seen = handshake(stream, name, config, &witness);
                let seen = timeout(spec.timeout, seen).await;
                let who = address.as_str();
                let version = seen.map_err(|_| format!("no TLS with `{who}` within {}", spoken(spec.timeout)))?;
                let version = version.map_err(|why| format!("no TLS with `{who}`: {why}"))?;
                facts.set("tls", Value::Map(witness.facts(&version, (lent.now)(), &mut notes)));
            }
            Ok(Observation { facts, notes, ..Observation::default() })
        }
    }
}

/// Host and port of `host:port`, the host without the brackets of an IPv6 address.
fn split(address: &str) -> Result<(&str, u16), String> {
    let bad = || format!("`{address}` is not `host:port`");
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() { Err(bad()) } else { Ok((host, port)) }
}

/// What a name resolves to, sorted; nothing if there is no such name.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    match lookup_host((host, port)).await {
        Ok(found) => {
            let mut found: Vec<SocketAddr> = found.collect();
            found.sort();
            found.dedup();
            Ok(found)
        }
        Err(error) => {
            // The system's resolver says in words what happened.
            let text = error.to_string();
            let unknown = ["not known", "No address associated", "nodename nor servname", "Name does not resolve"];
            if unknown.iter().any(|words| text.contains(words)) {
                return Ok(Vec::new());
            }
            let why = text.rsplit(": ").next().unwrap_or(&text);
            Err(format!("`{host}` cannot be looked up: {why}"))
        }
    }
}

fn addresses(found: &[SocketAddr]) -> Value {
    Value::List(found.iter().map(|address| Value::text(address.ip().to_string())).collect())
}

/// Opens a connection; `None`, with the reason as a fact, if there is none.
async fn connect(host: &str, port: u16, spec: &NetSpec, facts: &mut Facts) -> Result<Option<TcpStream>, String> {
    let begin = Instant::now();
    let work = async {
        let found = resolve(host, port).await?;
        facts.set("addrs", addresses(&found));
        let mut reason = format!("host `{host}` not found");
        for address in found {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok((Some((stream, address)), String::new())),
                Err(error) => reason = plain(&error),
            }
        }
        Ok::<_, String>((None, reason))
    };
    let (stream, reason) = match timeout(spec.timeout, work).await {
        Ok(done) => done?,
        Err(_) => (None, format!("no answer within {}", spoken(spec.timeout))),
    };
    facts.set("open", Value::Bool(stream.is_some()));
    Ok(match stream {
        Some((stream, address)) => {
            facts.set("latency", Value::time(begin.elapsed()));
            facts.set("peer", Value::text(address.to_string()));
            Some(stream)
        }
        None => {
            facts.set("reason", Value::Text(reason));
            None
        }
    })
}

/// Shakes hands and closes; the protocol version.
async fn handshake(stream: TcpStream, name: &str, config: ClientConfig, witness: &Witness) -> Result<String, String> {
    let server = match name.parse::<IpAddr>() {
        Ok(address) => ServerName::from(address),
        Err(_) => ServerName::try_from(name.to_owned()).map_err(|_| format!("`{name}` is no name of a host"))?,
    };
    let stream = TlsConnector::from(Arc::new(config)).connect(server, stream).await.map_err(|error| {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidMessage(_)) => "it speaks something else".to_owned(),
            Some(other) => other.to_string(),
            None if error.kind() == std::io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            None => plain(&error),
        }
    })?;
    if witness.seen().is_none() {
        return Err("it showed no certificate".to_owned());
    }
    Ok(match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "1.2".to_owned(),
        Some(ProtocolVersion::TLSv1_3) => "1.3".to_owned(),
        other => format!("{other:?}"),
    })
}

/// A client that looks at any certificate and remembers what is to be said of it.
fn config(ca: Option<&str>, workspace: &Path) -> Result<(ClientConfig, Arc<Witness>), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let judge: Arc<dyn ServerCertVerifier> = match ca {
        Some(ca) => authorities(ca, workspace, &provider)?,
        None => Arc::new(
            rustls_platform_verifier::Verifier::new(Arc::clone(&provider))
                .map_err(|error| format!("this machine's certificate authorities cannot be read: {error}"))?,
        ),
    };
    let witness = Arc::new(Witness { judge, seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    Ok((config, witness))
}

/// Trusts the certificates of a PEM file and no others.
fn authorities(
    ca: &str,
    workspace: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let path = files::anywhere(workspace, ca).map_err(|error| error.to_string())?;
    let bytes = files::read(&path, ca, 4 << 20, &files::Quit::default()).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| format!("`{ca}` is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("`{ca}` has a certificate that cannot be used: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!("`{ca}` has no certificate in it: it is to be a PEM file"));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| format!("`{ca}` cannot be used: {error}"))
}

/// The certificate of the server, and why it is not trusted, if so.
#[derive(Clone, Debug)]
struct Seen {
    der: Vec<u8>,
    fault: Option<String>,
}

/// Lets every certificate pass, because it is only looked at: the judgement becomes a fact. Signatures are verified.
#[derive(Debug)]
struct Witness {
    judge: Arc<dyn ServerCertVerifier>,
    seen: Mutex<Option<Seen>>,
}

impl Witness {
    fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn facts(&self, version: &str, now: i64, notes: &mut Vec<Note>) -> BTreeMap<String, Value> {
        let mut facts = BTreeMap::from([("version".to_owned(), Value::text(version))]);
        let Some(Seen { der, fault }) = self.seen() else { return facts };
        facts.insert("trusted".to_owned(), Value::Bool(fault.is_none()));
        facts.extend(fault.map(|fault| ("reason".to_owned(), Value::Text(fault))));
        match cert::facts(&der, now) {
            Ok(more) => facts.extend(more),
            Err(text) => notes.push(Note { code: "odd_certificate".into(), text }),
        }
        facts
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self.judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let fault = judged.err().map(|error| super::http::why_untrusted(&error));
        let seen = Seen { der: end_entity.as_ref().to_vec(), fault };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::super::fixture;
    use super::*;
    use crate::action::Text;
    use crate::facts::{Num, Unit};

    const NOW: i64 = 1_767_225_600_000;

    async fn seen(look: NetLook, dir: &Path) -> Result<Observation, String> {
        let spec = NetSpec { look, timeout: Duration::from_secs(20) };
        let request = fixture::request(Action::Net(Box::new(spec)), dir);
        let (mut lent, _stop) = fixture::lent();
        lent.now = Arc::new(|| NOW);
        Net.look(&request, &lent).await.map_err(|error| error.detail)
    }

    /// A TLS server whose certificate is for `localhost` and ends in that year, as its own authority in `ca.pem`.
    async fn serve(dir: &Path, year: i32, versions: &[&'static rustls::SupportedProtocolVersion]) -> u16 {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(dir.join("ca.pem"), certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        port
    }

    fn tls(port: u16, name: Option<&str>, ca: Option<&str>) -> NetLook {
        let text = |text: &str| Text::fixed(text);
        NetLook::Tls { address: Text::fixed(format!("127.0.0.1:{port}")), name: name.map(text), ca: ca.map(text) }
    }

    fn of(seen: &Observation, name: &str) -> Value {
        let Some(Value::Map(tls)) = seen.facts.values.get("tls") else { panic!("no tls") };
        tls.get(name).cloned().unwrap_or(Value::Null)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_port_is_open_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = || NetLook::Tcp(Text::fixed(format!("127.0.0.1:{port}")));
        let facts = seen(address(), dir.path()).await.unwrap().facts;
        assert_eq!(facts.values["open"], Value::Bool(true));
        assert_eq!(facts.values["addrs"], Value::List(vec![Value::text("127.0.0.1")]));
        assert_eq!(facts.values["peer"], Value::text(format!("127.0.0.1:{port}")));
        assert!(matches!(facts.values["latency"], Value::Num(n, Unit::Time) if n > Num::int(0)));
        drop(listener);
        let facts = seen(address(), dir.path()).await.unwrap().facts;
        assert_eq!(facts.values["open"], Value::Bool(false));
        assert_eq!(facts.values["reason"], Value::text("connection refused"));
        assert!(!facts.values.contains_key("latency"));
        assert_eq!(facts.inspected.count, 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn names_resolve_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let facts = seen(NetLook::Dns(Text::fixed("localhost")), dir.path()).await.unwrap().facts;
        let Value::List(found) = &facts.values["addrs"] else { panic!() };
        assert!(found.iter().any(|ip| [Value::text("127.0.0.1"), Value::text("::1")].contains(ip)), "{found:?}");
    }

    #[test]
    fn addresses_are_split() {
        assert_eq!(split("[::1]:80"), Ok(("::1", 80)));
        assert_eq!(split("a.b:443"), Ok(("a.b", 443)));
        for bad in ["a", "a:", ":80", "a:0", "a:65536", "[]:1"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_server_shows_its_version_and_its_certificate() {
        let dir = tempfile::tempdir().unwrap();
        for (version, word) in [(&rustls::version::TLS13, "1.3"), (&rustls::version::TLS12, "1.2")] {
            let port = serve(dir.path(), 2100, &[version]).await;
            for name in [None, Some("localhost")] {
                let look = seen(tls(port, name, Some("ca.pem")), dir.path()).await.unwrap();
                assert_eq!((of(&look, "version"), of(&look, "trusted")), (Value::text(word), Value::Bool(true)));
                let names = ["127.0.0.1", "localhost"].map(Value::text).to_vec();
                assert_eq!(of(&look, "names"), Value::List(names));
                let left = Num::int(i128::from(4_102_444_800_000 - NOW) * 1_000_000);
                assert_eq!(of(&look, "expires_in"), Value::Num(left, Unit::Time));
            }
            let look = seen(tls(port, Some("example.org"), Some("ca.pem")), dir.path()).await.unwrap();
            assert_eq!(of(&look, "reason"), Value::text("it was issued for another name"));
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_not_trusted_is_still_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let port = serve(dir.path(), 2001, rustls::ALL_VERSIONS).await;
        let look = seen(tls(port, None, Some("ca.pem")), dir.path()).await.unwrap();
        assert_eq!((of(&look, "trusted"), of(&look, "reason")), (Value::Bool(false), Value::text("it has expired")));
        assert!(matches!(of(&look, "expires_in"), Value::Num(n, _) if n < Num::int(0)));
        std::fs::copy(dir.path().join("ca.pem"), dir.path().join("other.pem")).unwrap();
        let port = serve(dir.path(), 2100, rustls::ALL_VERSIONS).await;
        let look = seen(tls(port, None, Some("other.pem")), dir.path()).await.unwrap();
        assert_eq!(of(&look, "trusted"), Value::Bool(false));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_cannot_be_looked_at_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("empty.pem"), "hello").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            use tokio::io::AsyncWriteExt as _;
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        });
        let error = seen(tls(port, None, Some("empty.pem")), dir.path()).await.err().unwrap();
        assert_eq!(error, "`empty.pem` has no certificate in it: it is to be a PEM file");
        serve(dir.path(), 2100, rustls::ALL_VERSIONS).await;
        let error = seen(tls(port, None, Some("ca.pem")), dir.path()).await.err().unwrap();
        assert_eq!(error, format!("no TLS with `127.0.0.1:{port}`: it speaks something else"));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(cert::facts(b"no certificate", NOW).is_err());
    }
}
