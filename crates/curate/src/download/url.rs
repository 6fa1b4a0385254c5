//! URLs as people write them, and in the form in which they are requested.

use ureq::http::Uri;

/// The form in which `url` is requested, which also identifies equal URLs.
///
/// The part after `#` is removed. Blanks and non-ASCII letters are written as `%` and their bytes,
/// as browsers do. On failure, returns the reason.
pub(super) fn requested(url: &str) -> Result<String, String> {
    let url = url.split('#').next().unwrap_or(url);
    let (scheme, rest) = url
        .split_once("://")
        .ok_or("the URL does not begin with http:// or https://")?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(format!("{scheme} is not fetched, only http and https are"));
    }
    let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !authority.is_ascii() {
        return Err("the host is not ASCII; write it as browsers send it (xn--...)".to_owned());
    }
    if authority.contains('@') {
        return Err("the URL has a user name or a password; these are not sent".to_owned());
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    let authority = authority.to_ascii_lowercase();
    let requested = format!("{scheme}://{authority}{slash}{}", encoded(path));
    let uri: Uri = requested
        .parse()
        .map_err(|error| format!("the URL cannot be understood: {error}"))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err("the URL names no host".to_owned());
    }
    let port = authority.strip_prefix(host(&requested)).unwrap_or_default();
    let number = port.strip_prefix(':').unwrap_or("80");
    if number.parse::<u16>().is_err() {
        return Err(format!("there is no port {number}"));
    }
    Ok(requested)
}

/// The host of a requested URL, without its port.
pub(super) fn host(requested: &str) -> &str {
    let rest = requested.split("://").nth(1).unwrap_or(requested);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte) {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_written_as_browsers_send_them() {
        for (url, expected) in [
            ("http://a.org/b.jpg", "http://a.org/b.jpg"),
            (
                "HTTPS://A.org:8443/B c.jpg#top",
                "https://a.org:8443/B%20c.jpg",
            ),
            ("http://a.org", "http://a.org/"),
            ("http://a.org?x=é", "http://a.org/?x=%C3%A9"),
            ("http://a.org/%20/50%", "http://a.org/%20/50%"),
            ("http://a.org\\@b.org/", "http://a.org/%5C@b.org/"),
            ("http://[2001:db8::1]:80/x", "http://[2001:db8::1]:80/x"),
        ] {
            assert_eq!(requested(url).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_not_on_the_web_is_refused() {
        for url in [
            "",
            "a.org/b.jpg",
            "/etc/passwd",
            "file:///etc/passwd",
            "ftp://a.org/b.jpg",
            "http://",
            "http:///b.jpg",
            "http://:80/",
            "http://a b.org/",
            "http://user:word@a.org/",
            "http://bücher.de/",
            "http://a.org:99999999/",
        ] {
            assert!(requested(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_host_has_no_port() {
        for (url, expected) in [
            ("http://a.org/b:1", "a.org"),
            ("http://a.org:80/", "a.org"),
            ("http://[2001:db8::1]/", "[2001:db8::1]"),
            ("http://[2001:db8::1]:80/", "[2001:db8::1]"),
        ] {
            assert_eq!(host(url), expected);
        }
    }
}
