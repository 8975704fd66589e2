//! The broker: wires the rooms below together and handles each API.
