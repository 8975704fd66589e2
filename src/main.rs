//! The front door: the first word, or the name that the program was called by, picks the role.
//! Nothing is decided here.

mod banner;
mod help;
mod keys;
mod roles;
mod rules;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let called = arguments.next().unwrap_or_default();
    match roles::run(&called, arguments.collect()) {
        Ok(code) => code,
        Err(error) => {
            banner::error(&error);
            ExitCode::from(1)
        }
    }
}
