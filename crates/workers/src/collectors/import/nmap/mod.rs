//! nmap: the XML of a scan: hosts with their names, ports, services, software, scripts, system.
//!
//! Each address hangs under the file, names and open ports under their address, software under its port. A port that is
//! not open is counted, and no finding.

mod xml;

use std::net::{IpAddr, SocketAddr};

use mirage_domain::entity::{Entity, Kind, Transport};
use mirage_domain::module::Manifest;
use mirage_domain::relation::{Direction, Relation};
use mirage_log::evidence::Stored;
use serde_json::{Map, Value};

use super::relate::relate;
use super::{BadFile, COMMON, Edge, Emit, Hung, Importer, Item, Stop, Surroundings};
use crate::collectors::Claim;
use xml::{Element, Tag, Tags};

/// Bytes of a script's output that are kept.
const SCRIPT_BYTES_MAX: usize = 2048;
/// Scripts, guesses of the system, addresses, names of one software: of each kind at most this many are kept.
const LIST_MAX: usize = 32;

static MANIFEST: Manifest = Manifest {
    name: "nmap",
    summary: "Hosts, ports, services and software of an nmap scan's XML",
    ..COMMON
};

pub(super) static IMPORTER: Importer = Importer {
    manifest: &MANIFEST,
    format: read,
};

fn read(file: &mut dyn Stored, around: &Surroundings<'_>, emit: Emit<'_>) -> Result<(), Stop> {
    let mut tags = Tags::open(file)?;
    let mut reading = Reading {
        around,
        emit,
        host: None,
        is_begun: false,
    };
    loop {
        let line = tags.line();
        match tags.next()? {
            Tag::Start(element) => reading.start(&element, line)?,
            Tag::End(name) => reading.end(&name)?,
            Tag::Text(text) => reading.text(text),
            Tag::Over => return reading.over(),
        }
    }
}

/// The element that is being read and those around it, as far as they count.
struct Reading<'a, 'b> {
    around: &'a Surroundings<'a>,
    emit: Emit<'b>,
    host: Option<Host>,
    is_begun: bool,
}

#[derive(Default)]
struct Host {
    line: u64,
    /// What describes it before its first address is told.
    about: Map<String, Value>,
    address: Option<Entity>,
    /// Whether the address was told: hardly before all of `about` is known.
    is_told: bool,
    /// What comes after the ports.
    later: Map<String, Value>,
    port: Option<Port>,
    is_in_cpe: bool,
}

#[derive(Default)]
struct Port {
    transport: String,
    number: String,
    state: String,
    about: Map<String, Value>,
    product: Option<String>,
    version: Option<String>,
    /// How sure nmap is of the service, of 10.
    certainty: Option<u8>,
}

impl Reading<'_, '_> {
    fn start(&mut self, element: &Element, line: u64) -> Result<(), Stop> {
        if !self.is_begun {
            return self.begin(element);
        }
        let Some(host) = &mut self.host else {
            if element.name == "host" {
                self.host = Some(Host::new(element, line));
            }
            return Ok(());
        };
        match element.name.as_str() {
            "status" => keep(&mut host.about, element, &["state", "reason"]),
            "address" => return self.address(element),
            "hostname" => return self.name(element),
            "port" => host.port = Some(Port::new(element)),
            "state" => host.port_state(element),
            "service" => host.service(element),
            "script" => host.script(element),
            "osmatch" => push(&mut host.later, "os", pick(element, &["name", "accuracy"])),
            "extraports" => push(
                &mut host.later,
                "extraports",
                pick(element, &["state", "count"]),
            ),
            "uptime" => keep(&mut host.later, element, &["seconds", "lastboot"]),
            "cpe" => host.is_in_cpe = true,
            _ => {}
        }
        Ok(())
    }

    /// The first element says whether this is nmap's.
    fn begin(&mut self, element: &Element) -> Result<(), Stop> {
        if element.name != "nmaprun" {
            let what = format!(
                "it is XML of another kind: its first element is {}",
                element.name
            );
            return Err(
                BadFile::new(what, "name the right --format; nmap writes it with -oX").into(),
            );
        }
        self.is_begun = true;
        let mut about = Map::new();
        keep(
            &mut about,
            element,
            &["scanner", "args", "version", "start", "startstr"],
        );
        let root = self.around.root.clone();
        self.claim(
            Vec::new(),
            (Relation::About, Direction::Out),
            root,
            about,
            100,
        )?;
        (self.emit)(Item::Record)
    }

    fn end(&mut self, name: &str) -> Result<(), Stop> {
        match name {
            "port" => self.port(),
            "host" => self.host_ends(),
            "cpe" => {
                if let Some(host) = &mut self.host {
                    host.is_in_cpe = false;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: String) {
        if let Some(host) = &mut self.host
            && host.is_in_cpe
            && let Some(port) = &mut host.port
        {
            push(&mut port.about, "cpe", clean(&text).into());
        }
    }

    fn over(self) -> Result<(), Stop> {
        match self.is_begun {
            true => Ok(()),
            false => Err(BadFile::new("it holds no element", "name the right --format").into()),
        }
    }

    /// The first address is the host's; further ones and the hardware's hang under it.
    fn address(&mut self, element: &Element) -> Result<(), Stop> {
        let text = element.get("addr").unwrap_or_default();
        let kind = match element.get("addrtype") {
            Some("mac") => Kind::Device,
            _ => Kind::Ip,
        };
        let Ok(entity) = Entity::new(kind, text) else {
            return self.unread("address", text);
        };
        let Some(host) = &mut self.host else {
            return Ok(());
        };
        if kind == Kind::Ip && host.address.is_none() {
            host.address = Some(entity);
            return Ok(());
        }
        let mut about = Map::new();
        keep(&mut about, element, &["vendor"]);
        let edge = (Relation::RelatedTo, Direction::Out);
        self.under_host(edge, entity, about)
    }

    fn name(&mut self, element: &Element) -> Result<(), Stop> {
        let text = element.get("name").unwrap_or_default();
        let Ok(entity) = Entity::new(Kind::Domain, text) else {
            return self.unread("hostname", text);
        };
        let edge = match element.get("type") {
            Some("PTR") => (Relation::NamedBy, Direction::Out),
            _ => (Relation::ResolvesTo, Direction::In),
        };
        self.under_host(edge, entity, Map::new())
    }

    /// Something of a host that is no key; the host stays.
    fn unread(&mut self, rule: &str, text: &str) -> Result<(), Stop> {
        (self.emit)(Item::Remark {
            code: "not-a-key",
            rule: rule.to_owned(),
            detail: text.to_owned(),
        })
    }

    fn under_host(
        &mut self,
        edge: Edge,
        entity: Entity,
        about: Map<String, Value>,
    ) -> Result<(), Stop> {
        match self.host_link()? {
            Some(link) => self.claim(vec![link], edge, entity, about, 100),
            None => Ok(()),
        }
    }

    /// The link from the file to the host, told when it is first needed.
    fn host_link(&mut self) -> Result<Option<(Edge, Entity)>, Stop> {
        let Some(host) = &mut self.host else {
            return Ok(None);
        };
        let Some(address) = host.address.clone() else {
            return Ok(None);
        };
        let edge = relate(self.around.root, &address, "");
        if !std::mem::replace(&mut host.is_told, true) {
            let about = std::mem::take(&mut host.about);
            self.claim(Vec::new(), edge, address.clone(), about, 100)?;
        }
        Ok(Some((edge, address)))
    }

    fn port(&mut self) -> Result<(), Stop> {
        let Some(port) = self.host.as_mut().and_then(|host| host.port.take()) else {
            return Ok(());
        };
        let Some(link) = self.host_link()? else {
            return Ok(());
        };
        if port.state != "open" {
            return (self.emit)(Item::Remark {
                code: "port-not-open",
                rule: port.state,
                detail: String::new(),
            });
        }
        let Some(service) = port.service(&link.1) else {
            let text = format!("{}/{}", port.number, port.transport);
            return self.unread("port", &text);
        };
        let edge = relate(&link.1, &service, "");
        let software = port.software();
        let certainty = port.certainty.map_or(100, |of_ten| of_ten.min(10) * 10);
        self.claim(vec![link.clone()], edge, service.clone(), port.about, 100)?;
        match software {
            None => Ok(()),
            Some(Err(text)) => self.unread("product", &text),
            Some(Ok(software)) => {
                let uses = relate(&service, &software, "");
                let under = vec![link, (edge, service)];
                self.claim(under, uses, software, Map::new(), certainty)
            }
        }
    }

    fn host_ends(&mut self) -> Result<(), Stop> {
        let link = self.host_link()?;
        let Some(host) = self.host.take() else {
            return Ok(());
        };
        let Some(link) = link else {
            let (line, why) = (host.line, "a host without an address".to_owned());
            return (self.emit)(Item::Bad { line, why });
        };
        if !host.later.is_empty() {
            let (about, address) = ((Relation::About, Direction::Out), link.1.clone());
            self.claim(vec![link], about, address, host.later, 100)?;
        }
        (self.emit)(Item::Record)
    }

    fn claim(
        &mut self,
        under: Vec<(Edge, Entity)>,
        edge: Edge,
        entity: Entity,
        about: Map<String, Value>,
        certainty: u8,
    ) -> Result<(), Stop> {
        let mut claim = Claim::toward(edge, entity, self.around.evidence).confidence(certainty);
        for (name, value) in about {
            claim = claim.with(&name, value);
        }
        (self.emit)(Item::Claim(Box::new(Hung { under, claim })))
    }
}

impl Host {
    fn new(element: &Element, line: u64) -> Self {
        let mut host = Self {
            line,
            ..Self::default()
        };
        keep(
            &mut host.about,
            element,
            &["starttime", "endtime", "comment"],
        );
        host
    }

    fn port_state(&mut self, element: &Element) {
        if let Some(port) = &mut self.port {
            port.state = element.get("state").unwrap_or("unknown").to_owned();
            keep(&mut port.about, element, &["reason"]);
        }
    }

    fn service(&mut self, element: &Element) {
        let Some(port) = &mut self.port else { return };
        let named = [
            "product",
            "version",
            "extrainfo",
            "ostype",
            "devicetype",
            "hostname",
            "tunnel",
            "method",
            "conf",
            "servicefp",
        ];
        keep(&mut port.about, element, &named);
        if let Some(name) = element.get("name") {
            port.about.insert("service".to_owned(), name.into());
        }
        port.product = element.get("product").map(str::to_owned);
        port.version = element.get("version").map(str::to_owned);
        port.certainty = element.get("conf").and_then(|conf| conf.parse().ok());
    }

    /// A script of the port that is being read, else of the host.
    fn script(&mut self, element: &Element) {
        let about = match &mut self.port {
            Some(port) => &mut port.about,
            None => &mut self.later,
        };
        let scripts = about.entry("scripts").or_insert_with(|| Map::new().into());
        let (Some(scripts), Some(id)) = (scripts.as_object_mut(), element.get("id")) else {
            return;
        };
        let output = element.get("output").unwrap_or_default();
        if scripts.len() < LIST_MAX {
            scripts.insert(clean(id), clean(output).into());
        }
    }
}

impl Port {
    fn new(element: &Element) -> Self {
        let text = |name| element.get(name).unwrap_or_default().to_owned();
        Self {
            transport: text("protocol"),
            number: text("portid"),
            state: "unknown".to_owned(),
            ..Self::default()
        }
    }

    fn service(&self, address: &Entity) -> Option<Entity> {
        let address: IpAddr = address.key().parse().ok()?;
        let transport = match self.transport.as_str() {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => return None,
        };
        let socket = SocketAddr::new(address, self.number.parse().ok()?);
        Entity::service(socket, transport).ok()
    }

    /// The software, or its name if that is no key.
    fn software(&self) -> Option<Result<Entity, String>> {
        let product = self.product.as_ref()?;
        let text = match &self.version {
            Some(version) => format!("{product}/{version}"),
            None => product.clone(),
        };
        let entity = Entity::new(Kind::Software, &text);
        Some(
            entity
                .or_else(|_| Entity::new(Kind::Software, product))
                .map_err(|_| text),
        )
    }
}

/// Keeps attributes of an element under their own names.
fn keep(about: &mut Map<String, Value>, element: &Element, names: &[&str]) {
    for name in names {
        if let Some(value) = element.get(name) {
            about.insert((*name).to_owned(), clean(value).into());
        }
    }
}

fn pick(element: &Element, names: &[&str]) -> Value {
    let mut picked = Map::new();
    keep(&mut picked, element, names);
    picked.into()
}

fn push(about: &mut Map<String, Value>, name: &str, value: Value) {
    let list = about
        .entry(name)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Some(list) = list.as_array_mut()
        && list.len() < LIST_MAX
    {
        list.push(value);
    }
}

/// No attribute is longer than a script's output; NUL is no text for every store.
fn clean(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(SCRIPT_BYTES_MAX)];
    cut.replace('\0', "\u{fffd}")
}
