//! What the company publishes: the pages of its web servers, byte for byte the same in every run.
//!
//! Each fact that only one collector can find stands on one page, in the form that collector reads.
//! **Invariant:** no page names a machine of another door than the one it is there to prove.

use std::collections::HashMap;

use crate::names::{Company, DOMAIN, Host, draw};
use crate::page::{Page, document, not_found};
use crate::policy;

/// What the extractor finds on the team page: mail box, phone, wallet, account, tracker.
pub(crate) const PRESS_PHONE: &str = "+493023125042";
pub(crate) const WALLET: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
pub(crate) const IBAN: &str = "DE89370400440532013000";
pub(crate) const TRACKER: &str = "G-MIRAGE0042";
/// The public site's server and framework, which no other machine names.
pub(crate) const SERVER: &str = "nginx/1.25.3";
pub(crate) const FRAMEWORK: &str = "PHP/8.2.1";
/// What the other machines say they run.
const SERVERS: [&str; 4] = [
    "nginx/1.18.0",
    "Apache/2.4.58 (Unix)",
    "lighttpd/1.4.71",
    "Caddy",
];
/// Every fifth numbered host sends http on to https.
const REDIRECTING: usize = 5;

pub(crate) fn press_contact() -> String {
    format!("press-office@{DOMAIN}")
}

pub(crate) fn security_contact() -> String {
    format!("security@{DOMAIN}")
}

/// A name under the wildcard that a page links to: known, and covered all the same.
pub(crate) fn promo() -> String {
    format!("promo.wild.{DOMAIN}")
}

/// The mail box on the page of a numbered host, which stands nowhere else.
pub(crate) fn owner_of(host: &Host) -> Option<String> {
    host.number
        .map(|number| format!("owner-{number:05}@{DOMAIN}"))
}

/// The ports under which the pages link to one another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WebPorts {
    pub(crate) http: u16,
    pub(crate) https: u16,
}

pub(crate) struct Site {
    ports: WebPorts,
    seed: u64,
    /// By scheme (empty for both), name and path, as `key` joins them.
    pub(crate) pages: HashMap<String, Page>,
}

impl Site {
    pub(crate) fn new(company: &Company, ports: WebPorts) -> Site {
        let mut site = Site {
            ports,
            seed: company.seed,
            pages: HashMap::new(),
        };
        let www = format!("www.{DOMAIN}");
        let home = site.url("https", &www, "/");
        site.pages
            .insert(key("http", DOMAIN, "/"), Page::redirect(301, &home));
        site.put(
            DOMAIN,
            "/.well-known/security.txt",
            security_txt(&www, ports),
        );
        site.put_public(&www, company);
        site.put_robots(&www, company);
        site.put_charsets(&www);
        site.put(
            &company.name("mta-sts"),
            "/.well-known/mta-sts.txt",
            Page::new(200, "text/plain", policy::mta_sts()),
        );
        let login = site.url("https", &company.name("login"), "/signin");
        site.put(&company.name("portal"), "/", Page::redirect(302, &login));
        site
    }

    /// An absolute address on the world's ports.
    pub(crate) fn url(&self, scheme: &str, name: &str, path: &str) -> String {
        let port = if scheme == "http" {
            self.ports.http
        } else {
            self.ports.https
        };
        format!("{scheme}://{name}:{port}{path}")
    }

    /// The answer of `host`, addressed as `name`, for this path.
    pub(crate) fn page(&self, scheme: &str, name: &str, host: &Host, path: &str) -> Page {
        let stored = [scheme, ""]
            .iter()
            .find_map(|scheme| self.pages.get(&key(scheme, name, path)));
        let page = stored
            .cloned()
            .unwrap_or_else(|| self.plain(scheme, host, path));
        if page.headers.iter().any(|(name, _)| *name == "server") {
            return page;
        }
        let server = SERVERS[draw(self.seed, &host.name) as usize % SERVERS.len()];
        page.with("server", server)
    }

    /// Puts up a page for both schemes.
    fn put(&mut self, name: &str, path: &str, page: Page) {
        self.pages.insert(key("", name, path), page);
    }

    /// What a machine without pages of its own serves.
    fn plain(&self, scheme: &str, host: &Host, path: &str) -> Page {
        match path {
            "/" if scheme == "http"
                && host.number.is_some_and(|number| number % REDIRECTING == 0) =>
            {
                Page::redirect(301, &self.url("https", &host.name, "/"))
            }
            "/" => {
                let owner = owner_of(host).map(|owner| format!("<p>Owner: {owner}</p>"));
                let body = format!("<h1>{}</h1>{}", host.name, owner.unwrap_or_default());
                Page::html(&format!("{} - Mirage Corp", host.name), &body)
            }
            "/favicon.ico" => Page::new(200, "image/x-icon", &FAVICON[..]),
            _ => not_found(),
        }
    }

    /// The public site: each link in another form, each to a machine that is known by it alone.
    fn put_public(&mut self, www: &str, company: &Company) {
        let to = |label: &str, path: &str| self.url("https", &company.name(label), path);
        let style = format!("body {{ background: url({}) }}\n", to("static", "/bg.png"));
        let linked = |label: &str| format!("<a href=\"{}\">more</a>", to(label, "/"));
        let promo = format!("<a href=\"{}\">offer</a>", self.url("https", &promo(), "/"));
        let (news, careers) = (linked("press") + &promo, linked("jobs"));
        let script = "document.title += ' ';\n";
        let home = self.home(company);
        self.put(www, "/", home);
        self.put(www, "/app.js", Page::new(200, "text/javascript", script));
        self.put(www, "/careers", Page::html("Careers", &careers).brotlied());
        self.put(www, "/news", Page::html("News", &news).gzipped());
        self.put(www, "/style.css", Page::new(200, "text/css", style));
        self.put(www, "/team", Page::html("Team", &team(company)));
    }

    fn home(&self, company: &Company) -> Page {
        let to = |label: &str, path: &str| self.url("https", &company.name(label), path);
        let body = format!(
            "<link rel=stylesheet href=/style.css><script src=/app.js></script>\
             <p><a href=\"/team\">Team</a> <a href=news>News</a> <a href=/careers>Careers</a> \
             <a href='/latin1'>Produkte</a> <a href=/utf16>Text</a> <a href=/private/>Staff</a></p>\
             <form action=\"{}\" method=post><input name=email></form>\
             <p><a href=\"{}\">Shop</a></p>",
            to("forms", "/subscribe"),
            to("shop", "/"),
        );
        let cookie = "PHPSESSID=0123456789abcdef; Path=/; HttpOnly; Secure";
        Page::html("Mirage Corp - Home", &body)
            .with("server", SERVER)
            .with("x-powered-by", FRAMEWORK)
            .with("set-cookie", cookie)
            .with(
                "content-security-policy",
                format!("default-src 'self' {}", to("cdn", "")),
            )
    }

    /// What speaks to robots, and the page they are asked not to read.
    fn put_robots(&mut self, www: &str, company: &Company) {
        let map = self.url("https", www, "/sitemap.xml");
        let robots = format!("User-agent: *\nDisallow: /private/\nSitemap: {map}\n");
        let docs = self.url("https", &company.name("docs"), "/manual");
        let sitemap = format!(
            "<?xml version=\"1.0\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\
             <url><loc>{docs}</loc></url></urlset>\n"
        );
        let secret = self.url("https", &company.name("secret"), "/");
        let private = format!("<a href=\"{secret}\">vault</a>");
        let issuer = self.url("https", &company.name("sso"), "");
        let openid = serde_json::json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "jwks_uri": format!("{issuer}/keys"),
        });
        self.put(www, "/robots.txt", Page::new(200, "text/plain", robots));
        self.put(
            www,
            "/sitemap.xml",
            Page::new(200, "application/xml", sitemap),
        );
        self.put(www, "/private/", Page::html("Staff only", &private));
        self.put(
            www,
            "/.well-known/security.txt",
            security_txt(www, self.ports),
        );
        let openid = Page::new(200, "application/json", openid.to_string());
        self.put(www, "/.well-known/openid-configuration", openid);
    }

    /// The same kind of page in encodings other than UTF-8.
    fn put_charsets(&mut self, www: &str) {
        // `Geschäftsbericht` is one byte a character here.
        let latin: Vec<u8> = document("Gesch\u{e4}ftsbericht", "<p>Umsatz</p>")
            .chars()
            .map(|character| u8::try_from(u32::from(character)).expect("written in Latin-1"))
            .collect();
        self.put(
            www,
            "/latin1",
            Page::new(200, "text/html; charset=iso-8859-1", latin),
        );
        let wide = format!("\u{feff}{}", document("\u{4f1a}\u{793e}", "<p>UTF-16</p>"));
        let wide: Vec<u8> = wide.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.put(
            www,
            "/utf16",
            Page::new(200, "text/html; charset=utf-16le", wide),
        );
    }
}

fn key(scheme: &str, name: &str, path: &str) -> String {
    format!("{scheme}://{name}{path}")
}

/// A one-pixel icon; its bytes only have to stay the same.
const FAVICON: [u8; 32] = [
    0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 32, 0, 10, 0, 0, 0, 22, 0, 0, 0, 0x4d, 0x69, 0x72, 0x61,
    0x67, 0x65, 0, 0, 0, 0,
];

/// What only a reader of the whole text finds: in a comment, in a script, in the page's words.
fn team(company: &Company) -> String {
    format!(
        "<!-- old intranet: {intranet} ; mail {mail} -->\
         <p>Call {PRESS_PHONE}. Donations: {WALLET} or IBAN {IBAN}.</p>\
         <script>gtag('config', '{TRACKER}');</script>",
        intranet = company.name("intranet"),
        mail = press_contact(),
    )
}

fn security_txt(www: &str, ports: WebPorts) -> Page {
    let text = format!(
        "Contact: mailto:{}\nExpires: 2030-01-01T00:00:00Z\n\
         Canonical: https://{www}:{}/.well-known/security.txt\n",
        security_contact(),
        ports.https
    );
    Page::new(200, "text/plain; charset=utf-8", text)
}
