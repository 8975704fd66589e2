//! Which addresses a node binds and which it hands out: `listeners`, `advertised.listeners`,
//! their names, protocols and roles, and what follows where nothing was given.

use crate::error::{ConfigError, Origin};
use crate::listener::{ADDRESS, Address};
use crate::rows;
use crate::sources::{Mode, Setting};

/// What this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// It holds partitions and serves clients.
    pub broker: bool,
    /// It votes in the metadata quorum.
    pub controller: bool,
}

/// How a listener is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Not at all.
    Plaintext,
}

impl SecurityProtocol {
    /// Kafka's name of the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
        }
    }
}

/// An address to bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address; an empty host binds every address of both families.
    pub address: Address,
    /// How it is protected.
    pub protocol: SecurityProtocol,
    /// Whether controllers use it, not clients.
    pub controller: bool,
}

/// An address that is handed to clients and other brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// The address. An empty host stands for the machine's own name, port 0 for the bound port of
    /// the listener of the same name.
    pub address: Address,
    /// Whether controllers use it, not clients.
    pub controller: bool,
}

/// Everything about addresses, checked as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// What to bind, in the order given.
    pub listeners: Vec<Listener>,
    /// What to hand out, in the order given; one per listener that clients use.
    pub advertised: Vec<Advertised>,
    /// Name of the listener that brokers use among themselves.
    pub inter_broker: String,
    /// Names of the listeners that controllers use.
    pub controller_names: Vec<String>,
}

/// Port of the controller listener of `pharos server` where nothing else is said.
const CONTROLLER_PORT: u16 = 9093;

/// What the endpoints are derived from.
pub(crate) struct Given<'a> {
    pub mode: Mode,
    pub roles: Roles,
    pub roles_given: bool,
    pub listeners: Option<&'a Setting>,
    pub advertised: Option<&'a Setting>,
    pub protocol_map: Option<&'a Setting>,
    pub inter_broker: Option<&'a Setting>,
    pub controller_names: Option<&'a Setting>,
}

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const PROTOCOL_MAP: &str = "listener.security.protocol.map";
const PROTOCOLS: &[&str] = &["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

impl Given<'_> {
    pub(crate) fn resolve(&self) -> Result<Endpoints, ConfigError> {
        let controller_names = self.controller_names()?;
        let is_controller = |name: &str| controller_names.iter().any(|known| known == name);
        let (mut addresses, origin) = self.bound(&is_controller)?;
        if self.roles.controller && !addresses.iter().any(|a| is_controller(&a.name)) {
            addresses.push(self.own_controller_listener(&controller_names, &addresses)?);
        }
        distinct(LISTENERS, &addresses, true, &origin)?;
        self.suit_roles(&addresses, &is_controller, &origin)?;
        let mut listeners = Vec::with_capacity(addresses.len());
        for address in addresses {
            let controller = is_controller(&address.name);
            let protocol = self.protocol(&address.name, controller)?;
            listeners.push(Listener { address, protocol, controller });
        }
        let advertised = self.advertised(&listeners)?;
        let inter_broker = self.inter_broker(&advertised)?;
        Ok(Endpoints { listeners, advertised, inter_broker, controller_names })
    }

    fn controller_names(&self) -> Result<Vec<String>, ConfigError> {
        let Some(given) = self.controller_names else { return Ok(vec!["CONTROLLER".to_owned()]) };
        let names: Vec<String> =
            entries(&given.text).map(|name| name.to_ascii_uppercase()).collect();
        if names.is_empty() {
            let key = "controller.listener.names";
            return Err(ConfigError::rule(key, "", "expected at least one name", &given.origin));
        }
        Ok(names)
    }

    /// The addresses of `listeners`; without it the ports of the advertised ones, on every address.
    fn bound(
        &self,
        is_controller: &dyn Fn(&str) -> bool,
    ) -> Result<(Vec<Address>, Origin), ConfigError> {
        if let Some(given) = self.listeners {
            let addresses = addresses(LISTENERS, given)?;
            if addresses.is_empty() {
                return Err(ConfigError::rule(LISTENERS, "", ADDRESS, &given.origin));
            }
            return Ok((addresses, given.origin.clone()));
        }
        if let Some(given) = self.advertised.filter(|_| self.roles.broker) {
            let mut addresses = addresses(ADVERTISED, given)?;
            addresses.retain(|address| !is_controller(&address.name));
            for address in &mut addresses {
                address.host.clear();
            }
            if !addresses.is_empty() {
                return Ok((addresses, given.origin.clone()));
            }
        }
        let name = "PLAINTEXT".to_owned();
        let client = Address { name, host: String::new(), port: 9092 };
        let addresses = if self.roles.broker { vec![client] } else { Vec::new() };
        Ok((addresses, Origin::Default))
    }

    /// A controller listener for a node that was not told of one: on this machine only. It takes
    /// its usual port only beside default listeners of a server, so that several nodes on one machine
    /// do not meet there, nor a developer's with Alertmanager, whose port it is as well.
    fn own_controller_listener(
        &self,
        names: &[String],
        others: &[Address],
    ) -> Result<Address, ConfigError> {
        if let (true, Some(given)) = (self.roles_given, self.listeners) {
            let expected =
                format!("expected a listener named {} for the controller role", names.join(" or "));
            return Err(ConfigError::rule(LISTENERS, &given.text, expected, &given.origin));
        }
        let usual = self.mode == Mode::Server
            && self.listeners.is_none()
            && self.advertised.is_none()
            && others.iter().all(|other| other.port != CONTROLLER_PORT);
        Ok(Address {
            name: names.first().cloned().unwrap_or_default(),
            host: "localhost".to_owned(),
            port: if usual { CONTROLLER_PORT } else { 0 },
        })
    }

    fn suit_roles(
        &self,
        addresses: &[Address],
        is_controller: &dyn Fn(&str) -> bool,
        origin: &Origin,
    ) -> Result<(), ConfigError> {
        let Roles { broker, controller } = self.roles;
        let wrong = addresses.iter().find(|address| match is_controller(&address.name) {
            true => !controller,
            false => !broker,
        });
        if let Some(address) = wrong {
            let expected = if broker {
                "expected no controller listener on a process that is only a broker"
            } else {
                "expected only controller listeners on a process that is only a controller"
            };
            return Err(ConfigError::rule(LISTENERS, address, expected, origin));
        }
        if broker && addresses.iter().all(|address| is_controller(&address.name)) {
            let text = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let expected = "expected a listener for clients beside those of controllers";
            return Err(ConfigError::rule(LISTENERS, text, expected, origin));
        }
        Ok(())
    }

    fn protocol(&self, name: &str, controller: bool) -> Result<SecurityProtocol, ConfigError> {
        let found = match self.protocol_map {
            Some(given) => protocol_in(given, name)?,
            None => PROTOCOLS.iter().find(|protocol| **protocol == name).copied(),
        };
        let origin = self.protocol_map.map_or(Origin::Default, |given| given.origin.clone());
        let map = self.protocol_map.map_or("", |given| given.text.as_str());
        match found {
            Some("PLAINTEXT") => Ok(SecurityProtocol::Plaintext),
            Some(absent) => {
                let expected =
                    format!("expected PLAINTEXT for listener {name}: {absent} is not available");
                // Without a map the listener's name says what it speaks.
                let named = self.listeners.or(self.advertised);
                Err(match named.filter(|_| self.protocol_map.is_none()) {
                    Some(given) => {
                        ConfigError::rule(LISTENERS, &given.text, expected, &given.origin)
                    }
                    None => ConfigError::rule(PROTOCOL_MAP, map, expected, &origin),
                })
            }
            // As in Kafka, a controller listener is plain where the map is not given; and so is
            // the one that was added without being asked for.
            None if controller && (self.protocol_map.is_none() || !self.names_listener(name)) => {
                Ok(SecurityProtocol::Plaintext)
            }
            None => {
                let expected =
                    format!("expected an entry for listener {name}, as {name}:PLAINTEXT");
                Err(ConfigError::rule(PROTOCOL_MAP, map, expected, &origin))
            }
        }
    }

    fn names_listener(&self, name: &str) -> bool {
        self.listeners
            .is_some_and(|given| entries(&given.text).any(|entry| entry.starts_with(name)))
    }

    fn advertised(&self, listeners: &[Listener]) -> Result<Vec<Advertised>, ConfigError> {
        let local = if self.mode == Mode::Up { "localhost" } else { "" };
        let derived = |listener: &Listener| {
            let mut address = listener.address.clone();
            if address.is_unspecified() {
                address.host = local.to_owned();
            }
            Advertised { address, controller: listener.controller }
        };
        let Some(given) = self.advertised else {
            return Ok(listeners.iter().map(derived).collect());
        };
        let addresses = addresses(ADVERTISED, given)?;
        distinct(ADVERTISED, &addresses, false, &given.origin)?;
        let mut advertised = Vec::with_capacity(listeners.len());
        for address in addresses {
            let refused =
                |expected: &str| ConfigError::rule(ADVERTISED, &address, expected, &given.origin);
            if !address.host.is_empty() && address.is_unspecified() {
                return Err(refused("expected a host that others can connect to"));
            }
            let Some(listener) = listeners.iter().find(|l| l.address.name == address.name) else {
                return Err(refused("expected only names that listeners has"));
            };
            advertised.push(Advertised { controller: listener.controller, address });
        }
        let known: Vec<_> = advertised.iter().map(|a| a.address.name.clone()).collect();
        let missing = listeners.iter().filter(|l| l.controller && !known.contains(&l.address.name));
        advertised.extend(missing.map(derived));
        Ok(advertised)
    }

    fn inter_broker(&self, advertised: &[Advertised]) -> Result<String, ConfigError> {
        let mut clients = advertised.iter().filter(|a| !a.controller).map(|a| &a.address.name);
        let Some(given) = self.inter_broker else {
            let plain = clients.clone().find(|name| *name == "PLAINTEXT");
            return Ok(plain.or_else(|| clients.next()).cloned().unwrap_or_default());
        };
        let name = given.text.trim().to_ascii_uppercase();
        if self.roles.broker && !clients.any(|known| *known == name) {
            let key = rows::INTER_BROKER_LISTENER_NAME.row.name;
            let expected = "expected the name of an advertised listener";
            return Err(ConfigError::rule(key, &given.text, expected, &given.origin));
        }
        Ok(name)
    }
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// The addresses of a list; an error names the one entry that is none.
pub(crate) fn addresses(key: &str, given: &Setting) -> Result<Vec<Address>, ConfigError> {
    entries(&given.text)
        .map(|entry| {
            Address::parse(entry)
                .ok_or_else(|| ConfigError::rule(key, entry, ADDRESS, &given.origin))
        })
        .collect()
}

/// The protocol that the map gives to a listener.
fn protocol_in(given: &Setting, name: &str) -> Result<Option<&'static str>, ConfigError> {
    let mut found = None;
    for entry in entries(&given.text) {
        let pair = entry.split_once(':').and_then(|(listener, protocol)| {
            let protocol = PROTOCOLS.iter().find(|p| p.eq_ignore_ascii_case(protocol.trim()))?;
            (!listener.trim().is_empty()).then_some((listener.trim(), *protocol))
        });
        let Some((listener, protocol)) = pair else {
            let expected =
                format!("expected NAME:PROTOCOL, PROTOCOL being {}", PROTOCOLS.join(", "));
            return Err(ConfigError::rule(PROTOCOL_MAP, entry, expected, &given.origin));
        };
        if listener.eq_ignore_ascii_case(name) {
            found = Some(protocol);
        }
    }
    Ok(found)
}

/// Names differ; where they are bound, ports too, but for 0 and for one port on both families.
fn distinct(
    key: &str,
    addresses: &[Address],
    ports: bool,
    origin: &Origin,
) -> Result<(), ConfigError> {
    for (index, address) in addresses.iter().enumerate() {
        for earlier in addresses.iter().take(index) {
            let both_families = address.is_ipv6() != earlier.is_ipv6()
                && !address.host.is_empty()
                && !earlier.host.is_empty();
            if address.name == earlier.name {
                let expected = "expected a different name for each listener";
                return Err(ConfigError::rule(key, address, expected, origin));
            }
            if ports && address.port != 0 && address.port == earlier.port && !both_families {
                let expected = format!("expected a port other than that of {earlier}");
                return Err(ConfigError::rule(key, address, expected, origin));
            }
        }
    }
    Ok(())
}
