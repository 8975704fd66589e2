//! `/`: what is served here.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Html;

use crate::pages::PageSource;

/// Routes that a room adds, and how the list at `/` names them.
#[derive(Clone)]
pub struct Section {
    /// Where the list links to, for example `/console`.
    pub path: &'static str,
    /// What is found there, in a few words.
    pub title: &'static str,
    /// The routes, with their own state already in them. A section with the path `/` takes the
    /// list's place.
    pub router: Router,
}

/// What the list needs.
#[derive(Clone)]
pub(crate) struct Index {
    pub(crate) source: Arc<dyn PageSource>,
    pub(crate) sections: Arc<[(&'static str, &'static str)]>,
}

/// The list as a small page of HTML.
pub(crate) async fn index(State(index): State<Index>) -> Html<String> {
    let mut list = String::new();
    let mut add = |path: &str, title: &str| {
        let (path, title) = (escape(path), escape(title));
        list.push_str(&format!("<li><a href=\"{path}\">{path}</a> {title}</li>\n"));
    };
    add("/metrics", "the chosen rule set and the native families");
    for name in index.source.names() {
        add(&format!("/metrics/{name}"), "one rule set alone");
    }
    add("/beans", "every bean with its attributes, as JSON");
    add("/health/live", "whether the process lives");
    add("/health/ready", "whether it is ready, or why not");
    for (path, title) in &*index.sections {
        add(path, title);
    }
    Html(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Pharos</title></head>\n\
         <body><h1>Pharos</h1>\n<ul>\n{list}</ul></body></html>\n"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
