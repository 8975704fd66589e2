//! The table of APIs: one enum and one row of facts per key.

use super::model::{Api, Kind, Message, Range, Spec};

/// The code of `ApiKey` and its rows.
pub fn table(spec: &Spec) -> Result<String, String> {
    let mut out = String::from(
        "/// An API of Kafka 4.3.1, by the name that its request metrics carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum ApiKey {\n",
    );
    let mut rows = String::new();
    for (index, api) in spec.apis.iter().enumerate() {
        if usize::try_from(api.key) != Ok(index) {
            return Err(format!("api {} {} leaves a gap", api.key, api.name));
        }
        out.push_str(&format!("/// Key {}.\n{} = {},\n", api.key, api.name, api.key));
        rows.push_str(&row(spec, api)?);
    }
    out.push_str("}\n\n");
    out.push_str(&format!("static ROWS: [ApiSpec; {}] = [\n{rows}];\n", spec.apis.len()));
    Ok(out)
}

fn row(spec: &Spec, api: &Api) -> Result<String, String> {
    let request = find(spec, api, Kind::Request);
    let response = find(spec, api, Kind::Response);
    let versions = match (request, response) {
        (None, None) => "None".into(),
        (Some(request), Some(response)) if request.versions == response.versions => {
            check_headers(api, request, response)?;
            let Range { min, max } = request.versions.ok_or("no versions")?;
            format!("Some(({min}, {max}))")
        }
        _ => return Err(format!("request and response of {} disagree", api.name)),
    };
    let flexible = request.and_then(|request| request.flexible).map(|range| range.min);
    Ok(format!(
        "ApiSpec {{ key: ApiKey::{name}, name: \"{name}\", versions: {versions}, flexible_since: {flexible:?}, broker: {}, controller: {}, cluster_action: {}, forwardable: {}, latest_version_unstable: {} }},\n",
        api.broker,
        api.controller,
        api.cluster_action,
        api.forwardable,
        api.latest_version_unstable,
        name = api.name,
    ))
}

fn find<'a>(spec: &'a Spec, api: &Api, kind: Kind) -> Option<&'a Message> {
    spec.messages.iter().find(|message| message.api_key == Some(api.key) && message.kind == kind)
}

/// Holds the tables to the rule that `header` works by: flexible requests travel with header 2,
/// others with 1; flexible responses with 1, others and all of ApiVersions with 0.
fn check_headers(api: &Api, request: &Message, response: &Message) -> Result<(), String> {
    for (message, plain, flexible) in [(request, 1, 2), (response, 0, 1)] {
        for (header, versions) in &message.headers {
            for version in versions.min..=versions.max {
                let is_flexible =
                    message.flexible.is_some_and(|r| r.min <= version && version <= r.max);
                let always_plain = api.key == 18 && message.kind == Kind::Response;
                let expected = if is_flexible && !always_plain { flexible } else { plain };
                if *header != expected {
                    return Err(format!("{} version {version}: header {header}", message.name));
                }
            }
        }
    }
    Ok(())
}
