//! Tables of fixed columns, as Kafka's tools print them with `String.format`.

/// Pads `text` on the right to `width` characters, like Java's `%-Ns`.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

/// Rows whose columns are as wide as their widest cell, joined by tabs, like
/// `ToolsUtils.prettyPrintTable`.
pub fn tabbed(headers: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let header = headers.get(column).map_or(0, |header| header.chars().count());
        cells.max().unwrap_or(0).max(header)
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        cells
            .zip(&widths)
            .map(|(cell, width)| format!("{}\t", pad(cell, *width)))
            .collect::<String>()
    };
    let mut lines = vec![line(&mut headers.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines
}
