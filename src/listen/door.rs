//! Who may come in: only by this machine's own address, only with the token that was told once. Pure: a request in, leave
//! or a refusal out.

use super::{Answer, Asked, Body};

/// What guards one listener.
#[derive(Debug)]
pub struct Door {
    hosts: [String; 3],
    cookie: String,
    token: String,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Entry {
    /// It may be answered; `HEAD` takes what `GET` would get, without its body.
    Open,
    /// Answered already.
    Answered(Answer),
}

impl Door {
    /// The door of a port; `token` is long and random.
    #[must_use]
    pub fn new(port: u16, token: String) -> Self {
        Self {
            hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")],
            // Cookies know no ports: each listener has one of its own.
            cookie: format!("runplan-{port}"),
            token,
        }
    }

    /// The address to begin with.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}/?token={}", self.hosts[0], self.token)
    }

    /// Whether a request may be answered. One with the token in its address is sent to the same place without it: the
    /// token goes into a cookie, and out of what is seen, kept and told to others.
    #[must_use]
    pub fn entry(&self, asked: &Asked) -> Entry {
        self.judged(&asked.method, &asked.path, &asked.query, asked.host.as_deref(), &asked.cookies)
    }

    fn judged(&self, method: &str, path: &str, query: &str, host: Option<&str>, cookies: &str) -> Entry {
        // A page that a browser was lured to under another name is refused before anything else.
        if !host.is_some_and(|host| self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))) {
            return refused(421, "not this host\n");
        }
        let shown = query.split('&').find_map(|pair| pair.strip_prefix("token="));
        let kept = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut kept = kept.filter(|(name, _)| *name == self.cookie).map(|(_, value)| value);
        if shown.is_some_and(|token| self.is_token(token)) {
            // A path of two slashes would lead to another host.
            let place = format!("/{}", path.trim_start_matches(['/', '\\']));
            let cookie = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie, self.token);
            let headers = vec![("location", place), ("set-cookie", cookie)];
            return Entry::Answered(guarded(Answer { status: 303, headers, body: Body::Whole(Vec::new()) }, ""));
        }
        if !kept.any(|token| self.is_token(token)) {
            return refused(403, "open the address that `runplan serve` told: it has the token\n");
        }
        if !["GET", "HEAD"].contains(&method) {
            let mut answer = Answer::text(405, "only to be looked at\n");
            answer.headers.push(("allow", "GET, HEAD".to_owned()));
            return Entry::Answered(guarded(answer, ""));
        }
        Entry::Open
    }

    /// Takes the same time for every wrong one.
    fn is_token(&self, told: &str) -> bool {
        let told = told.as_bytes();
        let mut different = usize::from(told.len() != self.token.len());
        for (at, byte) in self.token.bytes().enumerate() {
            different |= usize::from(byte ^ told.get(at).copied().unwrap_or(0));
        }
        std::hint::black_box(different) == 0
    }
}

fn refused(status: u16, text: &str) -> Entry {
    Entry::Answered(guarded(Answer::text(status, text), ""))
}

/// The answer with what keeps others from framing, guessing, keeping and reading it.
#[must_use]
pub fn guarded(mut answer: Answer, policy: &str) -> Answer {
    let policy = if policy.is_empty() { "default-src 'none'" } else { policy };
    answer.headers.extend([
        ("content-security-policy", format!("{policy}; frame-ancestors 'none'")),
        ("x-content-type-options", "nosniff".to_owned()),
        ("x-frame-options", "DENY".to_owned()),
        ("referrer-policy", "no-referrer".to_owned()),
        ("cross-origin-opener-policy", "same-origin".to_owned()),
        ("cross-origin-resource-policy", "same-origin".to_owned()),
        ("cache-control", "no-store".to_owned()),
    ]);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn status(method: &str, target: &str, host: Option<&str>, cookies: &str) -> (u16, Vec<(&'static str, String)>) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match Door::new(8080, TOKEN.to_owned()).judged(method, path, query, host, cookies) {
            Entry::Open => (200, Vec::new()),
            Entry::Answered(answer) => (answer.status, answer.headers),
        }
    }

    #[test]
    fn only_its_own_host_and_its_own_token_lead_in() {
        let (host, good) = (Some("127.0.0.1:8080"), "a=b; runplan-8080=0123456789abcdef");
        for (method, target, host, cookies, wanted) in [
            ("GET", "/", host, good, 200),
            ("HEAD", "/run/x", Some("LOCALHOST:8080"), good, 200),
            ("GET", "/", Some("[::1]:8080"), good, 200),
            ("GET", "/", Some("evil.example:8080"), good, 421),
            ("GET", "/?token=0123456789abcdef", Some("evil.example"), "", 421),
            ("GET", "/", Some("127.0.0.1"), good, 421),
            ("GET", "/", None, good, 421),
            ("GET", "/", host, "", 403),
            ("GET", "/", host, "runplan-8081=0123456789abcdef", 403),
            ("GET", "/", host, "runplan-8080=0123456789abcdeF", 403),
            ("GET", "/", host, "runplan-8080=0123456789abcdef0", 403),
            ("GET", "/?token=0123456789abcde", host, "", 403),
            ("GET", "/?token=", host, "", 403),
            ("POST", "/", host, "", 403),
            ("POST", "/", host, good, 405),
            ("OPTIONS", "/", host, good, 405),
            ("GET", "/run/x?a=b&token=0123456789abcdef", host, "", 303),
        ] {
            assert_eq!(status(method, target, host, cookies).0, wanted, "{method} {target} {host:?} {cookies}");
        }
    }

    #[test]
    fn the_token_goes_into_a_cookie_and_nowhere_else() {
        let (_, headers) = status("GET", "//evil.example/?token=0123456789abcdef", Some("127.0.0.1:8080"), "");
        let of = |name: &str| headers.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value);
        assert_eq!(of("location"), "/evil.example/");
        assert_eq!(of("set-cookie"), "runplan-8080=0123456789abcdef; HttpOnly; SameSite=Strict; Path=/");
        assert_eq!((of("cache-control"), of("referrer-policy")), ("no-store", "no-referrer"));
        assert_eq!(of("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        assert!(!headers.iter().any(|(name, _)| name.starts_with("access-control")), "{headers:?}");
    }
}
