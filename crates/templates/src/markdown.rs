//! As much Markdown as sections need: headings and fences.

/// Follows fenced code through lines.
#[derive(Default)]
pub(crate) struct Fences(Option<(char, usize)>);

impl Fences {
    /// Takes the next line; true when it lies in fenced code or borders it.
    pub(crate) fn covers(&mut self, line: &str) -> bool {
        let marker = marker(line);
        match (self.0, marker) {
            (None, None) => false,
            (None, Some((sign, length, rest))) => {
                // An opening line of backticks has no more of them behind.
                let opens = sign != '`' || !rest.contains('`');
                if opens {
                    self.0 = Some((sign, length));
                }
                opens
            }
            (Some((open, least)), Some((sign, length, rest))) if sign == open && length >= least => {
                if rest.trim().is_empty() {
                    self.0 = None;
                }
                true
            }
            (Some(_), _) => true,
        }
    }

    /// What closes the fence that is open.
    fn closing(&self) -> Option<String> {
        self.0.map(|(sign, length)| sign.to_string().repeat(length))
    }
}

/// The sign, its count and what follows, when the line may border fenced code.
fn marker(line: &str) -> Option<(char, usize, &str)> {
    let text = unindented(line)?;
    let sign = text.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
    let rest = text.trim_start_matches(sign);
    let length = text.len() - rest.len();
    (length >= 3).then_some((sign, length, rest))
}

/// The line without its indent; none when that makes it code.
fn unindented(line: &str) -> Option<&str> {
    let text = line.trim_start_matches(' ');
    (line.len() - text.len() <= 3).then_some(text)
}

/// Level and title of a `#` heading.
pub(crate) fn heading(line: &str) -> Option<(usize, &str)> {
    let text = unindented(line)?;
    let title = text.trim_start_matches('#');
    let level = text.len() - title.len();
    let separate = title.is_empty() || title.starts_with([' ', '\t', '\r']);
    ((1..=6).contains(&level) && separate).then(|| (level, title.trim().trim_end_matches('#').trim_end()))
}

/// A text of its own as a section of another: its title gives way to `## <title>`, its headings go one level down.
pub(crate) fn section(title: &str, text: &str) -> String {
    let mut out = format!("## {title}\n");
    let mut fences = Fences::default();
    let mut lines = text.trim_start_matches(['\n', '\r']).lines().peekable();
    if lines
        .peek()
        .and_then(|line| heading(line))
        .is_some_and(|(level, _)| level == 1)
    {
        lines.next();
    }
    if lines.peek().is_some_and(|line| !line.trim().is_empty()) {
        out.push('\n');
    }
    for line in lines {
        let in_code = fences.covers(line);
        if !in_code && heading(line).is_some_and(|(level, _)| level < 6) {
            out.push('#');
            out.push_str(line.trim_start());
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    closed(&out)
}

/// The text with its last fence closed, so that what is put behind it is not code; it ends with a line break.
pub(crate) fn closed(text: &str) -> String {
    let mut fences = Fences::default();
    for line in text.lines() {
        fences.covers(line);
    }
    let mut out = text.trim_end().to_owned();
    if let Some(closing) = fences.closing() {
        out.push('\n');
        out.push_str(&closing);
    }
    out.push('\n');
    out
}

/// The texts of every section of level 2 with this title, in order.
pub(crate) fn sections<'a>(text: &'a str, title: &str) -> Vec<Vec<&'a str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    let mut inside = false;
    let mut fences = Fences::default();
    for line in text.lines() {
        let in_code = fences.covers(line);
        match heading(line).filter(|_| !in_code) {
            Some((level, name)) if level <= 2 => {
                inside = level == 2 && name.eq_ignore_ascii_case(title);
                if inside {
                    found.push(Vec::new());
                }
            }
            _ if inside => found.last_mut().into_iter().for_each(|section| section.push(line)),
            _ => {}
        }
    }
    found
}
