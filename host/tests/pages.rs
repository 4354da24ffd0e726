//! The pages hang together: links lead somewhere, and what is translated says the same commands as the English page.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use support::root;

/// A page, taken apart.
struct Page {
    /// What is fenced off: commands, their output, code.
    blocks: Vec<String>,
    /// What stands in backticks in the text, sorted.
    code: Vec<String>,
    /// Where its links and pictures lead.
    links: Vec<String>,
    /// What its headings can be reached by.
    anchors: Vec<String>,
}

impl Page {
    fn of(text: &str) -> Page {
        let (mut blocks, mut prose, mut anchors) = (Vec::new(), String::new(), Vec::new());
        let mut block: Option<String> = None;
        for line in text.lines() {
            match (line.trim_start().starts_with("```"), &mut block) {
                (true, Some(_)) => blocks.extend(block.take()),
                (true, None) => block = Some(line.trim_start().to_owned()),
                (false, Some(block)) => *block += &format!("\n{line}"),
                (false, None) => {
                    if let Some(heading) = line.strip_prefix('#').map(|line| line.trim_start_matches('#').trim()) {
                        anchors.push(anchor(heading));
                    }
                    prose += &format!("{line}\n");
                }
            }
        }
        let mut code: Vec<_> = prose.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        code.sort();
        let text: String = prose.split('`').step_by(2).collect();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned());
        Page { blocks, code, links: links.collect(), anchors }
    }
}

/// What a heading can be reached by on GitHub.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

fn pages() -> BTreeMap<PathBuf, Page> {
    let mut pages = BTreeMap::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            if entry.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(entry);
            } else if name.ends_with(".md") {
                let page = Page::of(&fs::read_to_string(&entry).unwrap());
                pages.insert(entry, page);
            }
        }
    }
    pages
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let mut broken = Vec::new();
    for (path, page) in &pages {
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let is_there = match (target.canonicalize(), anchor) {
                (Err(_), _) => false,
                (Ok(_), "") => true,
                (Ok(target), anchor) => {
                    pages.get(&target).is_some_and(|page| page.anchors.iter().any(|it| it == anchor))
                }
            };
            if !is_there {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(pages.values().map(|page| page.links.len()).sum::<usize>() > 50);
}

#[test]
fn each_page_of_docs_is_in_its_index() {
    let index = Page::of(&fs::read_to_string(root().join("docs/README.md")).unwrap());
    let entries = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let pages =
        entries.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".md") && name != "README.md");
    let missing: Vec<_> = pages.filter(|page| !index.links.contains(page)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_translation_has_the_commands_names_and_links_of_the_english_page() {
    let mut translated = 0;
    for (path, page) in pages() {
        let name = path.to_string_lossy().into_owned();
        let Some(english) = name.strip_suffix(".pt-BR.md").map(|name| PathBuf::from(format!("{name}.md"))) else {
            continue;
        };
        let english = Page::of(&fs::read_to_string(english).unwrap());
        assert_eq!(page.blocks, english.blocks, "{name}");
        assert_eq!(page.code, english.code, "{name}");
        assert_eq!(targets(&page), targets(&english), "{name}");
        translated += 1;
    }
    assert!(translated >= 2);
}

/// The pages that are linked, whatever their language; the links between both languages left out.
fn targets(page: &Page) -> Vec<String> {
    let plain = page.links.iter().map(|link| link.replace(".pt-BR.md", ".md"));
    let file = |link: &str| Path::new(link.split('#').next().unwrap()).to_owned();
    let mut targets: Vec<_> = plain.map(|link| file(&link).display().to_string()).collect();
    targets.sort();
    targets
}
