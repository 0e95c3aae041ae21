//! What other programs read of it: completions and manual pages.
#![cfg(unix)]

mod common;

use std::process::{Command, Stdio};

use common::{Folder, run};
use endwell_gateway::config::Key;

/// Runs a program on a file; `None` where there is no such program.
fn accepts(program: &str, args: &[&str], file: &str) -> Option<(bool, String)> {
    let output = Command::new(program)
        .args(args)
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

#[test]
fn completions_are_scripts_that_name_every_flag() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (exit, script, error) = run(&["completions", shell]);
        assert_eq!((exit, error.as_str()), (Some(0), ""), "{shell}");
        for flag in Key::all().iter().filter_map(Key::flag) {
            // fish writes long flags without their dashes.
            let name = flag.trim_start_matches('-');
            assert!(script.contains(name), "{shell}: {flag}");
        }
        let file = folder.write(shell, &script);
        if let Some((accepted, said)) = accepts(shell, &["-n"], file.to_str().unwrap()) {
            assert!(accepted && said.is_empty(), "{shell}: {said}");
        }
    }
    let line = "error: invalid value 'sh' for '<SHELL>' [possible values: bash, elvish, fish, powershell, zsh]; see endwell completions --help\n";
    let (exit, _, error) = run(&["completions", "sh"]);
    assert_eq!(exit, Some(2));
    assert!(
        error.starts_with(line.split(';').next().unwrap()),
        "{error}"
    );
}

#[test]
fn bash_completes_a_flag() {
    let script = run(&["completions", "bash"]).1;
    let asked = "COMP_WORDS=(endwell serve --dra); COMP_CWORD=2; _endwell endwell --dra serve; echo ${COMPREPLY[@]}";
    let Ok(output) = Command::new("bash")
        .args(["-c", &format!("{script}\n{asked}")])
        .output()
    else {
        println!("skipped: there is no bash");
        return;
    };
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), "--drain");
}

#[test]
fn manual_pages_are_read_without_a_warning() {
    let folder = Folder::new();
    for verb in [
        &[][..],
        &["serve"],
        &["config"],
        &["config", "check"],
        &["config", "show"],
        &["completions"],
        &["man"],
    ] {
        let (exit, page, error) = run(&[&["man"], verb].concat());
        assert_eq!((exit, error.as_str()), (Some(0), ""), "{verb:?}");
        assert!(page.contains(".SH NAME"), "{verb:?}");
        let file = folder.write("page.1", &page);
        let file = file.to_str().unwrap();
        for program in ["groff", "nroff", "mandoc"] {
            let args: &[&str] = match program {
                "groff" => &["-man", "-Tutf8", "-ww"],
                "nroff" => &["-man"],
                _ => &["-T", "lint"],
            };
            let read = accepts(program, args, file);
            assert!(
                read.is_none_or(|(accepted, _)| accepted),
                "{program} {verb:?}"
            );
        }
    }
    let page = run(&["man", "serve"]).1.replace('\\', "");
    for flag in Key::all().iter().filter_map(Key::flag) {
        assert!(page.contains(&flag), "{flag}");
    }
    let (exit, _, error) = run(&["man", "config", "chek"]);
    let line = "error: there is no page for 'chek'; write one of check, show, help\n";
    assert_eq!((exit, error.as_str()), (Some(2), line));
    for verbs in [&["serve"][..], &["config", "check"]] {
        let (exit, _, error) = run(&[&["man"], verbs, &["extra"]].concat());
        let verbs = verbs.join(" ");
        let line = format!("error: there is no page for 'extra'; write endwell man {verbs}\n");
        assert_eq!((exit, error), (Some(2), line));
    }
}
