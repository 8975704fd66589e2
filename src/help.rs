//! What the program says of itself when it is asked.

use crate::roles::{REVISION, USAGE};

/// What there is to run.
pub fn text() -> String {
    const LINE: usize = 76;
    let mut tools = String::new();
    let mut width = LINE;
    for name in pharos_cli::tool_names() {
        if width + name.len() > LINE {
            tools.push_str("\n     ");
            width = 5;
        }
        tools.push(' ');
        tools.push_str(name);
        width += name.len() + 1;
    }
    format!(
        "Pharos, a broker that Kafka's clients and tools understand. Without a word it starts one:\n\
         Kafka at localhost:9092, its console and metrics at http://localhost:9404/.\n\n\
         {USAGE}\n\n\
         Kafka's tools, each with Kafka's arguments (TOOL --help):{tools}\n"
    )
}

/// The version, and the commit where it is known.
pub fn version() -> String {
    let commit = REVISION.map_or_else(String::new, |revision| format!(" ({revision})"));
    format!("pharos {}{commit}\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_tool_on_lines_that_fit() {
        let text = text();
        for name in pharos_cli::tool_names() {
            assert!(text.split_whitespace().any(|word| word == name), "{name}");
        }
        let tools = text.lines().skip_while(|line| !line.starts_with("Kafka's tools"));
        assert!(tools.count() > 2);
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    }
}
