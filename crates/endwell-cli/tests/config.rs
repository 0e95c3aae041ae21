//! The configuration file and the environment: what they say, what is wrong, what wins.
#![cfg(unix)]

mod common;

use std::process::Command;

use common::{Folder, endwell, run, run_command};
use endwell_gateway::config::{Key, Kind};

/// `endwell config show` with these flags: its lines, each as value and origin.
fn shown(command: &mut Command) -> Vec<(String, String)> {
    let (exit, out, error) = run_command(command);
    assert_eq!((exit, error.as_str()), (Some(0), ""));
    let split = |line: &str| {
        let (value, origin) = line.rsplit_once('#').unwrap();
        (value.trim().to_owned(), origin.trim().to_owned())
    };
    out.lines().map(split).collect()
}

fn show(args: &[&str]) -> Command {
    let mut command = endwell();
    command.args(["config", "show"]).args(args);
    command
}

/// A hash that a user may have.
const HASH: &str = "$2b$04$TiX88i4u4TqMUtWqCM4QpOii7WgvRrMDE76dIuwjJ7nieZ/ER6bk.";

/// A value that is not the default.
fn sample(key: &Key) -> String {
    let choice = key.choices().pop();
    match (key.kind(), key.name()) {
        (Kind::Switch, _) => (!is_on(key)).to_string(),
        (Kind::Number, "max-header-size") => "17000".to_owned(),
        (Kind::Number, "zip-level") => "7".to_owned(),
        (Kind::Text, "auth") => format!("ann:{HASH}"),
        (Kind::Text, "allow" | "deny") => "192.0.2.0/24".to_owned(),
        (Kind::Number, _) => "17".to_owned(),
        (Kind::Duration, _) => "17s".to_owned(),
        (Kind::Path, _) => "/some/path".to_owned(),
        (Kind::Text, "listen" | "admin") => "127.0.0.1:17".to_owned(),
        (Kind::Text, "not-found" | "spa" | "index") => "some/page.html".to_owned(),
        (Kind::Text, "cache-control") => "max-age=17".to_owned(),
        (Kind::Text, "media-type") => "x=a/b".to_owned(),
        (Kind::Text, "command") => "/now=sh -c 'date -u'".to_owned(),
        (Kind::Text, "command-type") => "/now=a/b".to_owned(),
        (Kind::Text, name) => choice.unwrap_or_else(|| panic!("{name} is new: give it a sample")),
    }
}

/// What a switch is when nobody says anything.
fn is_on(key: &Key) -> bool {
    let flag = key.flag().expect("a switch is a flag");
    flag != format!("--{}", key.name())
}

/// What must be given with a key.
fn companion(key: &Key) -> Vec<String> {
    let flags: &[&str] = match key.name() {
        "tls-cert" => &["--tls-key=k"],
        "tls-key" => &["--tls-cert=c"],
        "command-type" => &["--command=/now=date"],
        "http3" => &["--tls-self-signed"],
        _ => &[],
    };
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}

fn as_flag(key: &Key, value: &str) -> String {
    match key.flag() {
        None => value.to_owned(),
        Some(flag) if key.kind() == Kind::Switch => flag,
        Some(flag) => format!("{flag}={value}"),
    }
}

fn as_toml(key: &Key, value: &str) -> String {
    match key.kind() {
        Kind::Switch | Kind::Number => format!("{} = {value}\n", key.name()),
        Kind::Duration | Kind::Path | Kind::Text => format!("{} = \"{value}\"\n", key.name()),
    }
}

#[test]
fn every_flag_is_a_key_and_a_variable() {
    let folder = Folder::new();
    assert!(Key::all().len() > 9);
    for (place, key) in Key::all().iter().enumerate() {
        let value = sample(key);
        let file = folder.write("e.toml", as_toml(key, &value));
        let by = |change: &dyn Fn(&mut Command)| {
            let mut command = show(&[]);
            change(command.args(companion(key)));
            shown(&mut command).swap_remove(place)
        };
        let default = shown(&mut show(&[])).swap_remove(place);
        let by_flag = by(&|command| {
            command.arg(as_flag(key, &value));
        });
        let by_variable = by(&|command| {
            command.env(key.variable(), &value);
        });
        let by_file = by(&|command| {
            command.arg("--config").arg(&file);
        });
        assert_ne!(by_flag.0, default.0, "{}", key.name());
        assert_eq!(by_flag.0, by_variable.0, "{}", key.name());
        assert_eq!(by_flag.0, by_file.0, "{}", key.name());
        assert_eq!(by_flag.1, "flag");
        assert_eq!(by_variable.1, key.variable());
        assert_eq!(by_file.1, format!("{}:1:1", file.display()));
    }
}

#[test]
fn every_flag_of_the_help_is_a_key() {
    let help = run(&["serve", "--help"]).1;
    let flags = help.lines().filter_map(|line| {
        // A line that begins with a flag: `      --flag` or `  -f, --flag`.
        let long = line.get(6..).filter(|_| line.starts_with("  "))?;
        long.starts_with("--")
            .then(|| long.split([' ', '=']).next().unwrap())
    });
    for flag in flags.filter(|flag| !["--config", "--help"].contains(flag)) {
        let is_key = |key: &Key| key.flag().as_deref() == Some(flag);
        assert!(Key::all().iter().any(is_key), "{flag}");
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let folder = Folder::new();
    let text = "dir = \"pub\"\ndrain = 1\ngrowing = \"allow\"\nlisten = [\"[::1]:1\", \"[::1]:2\"]\n\
        tls-self-signed = true\n";
    let file = folder.write("e.toml", text);
    let file = file.to_str().unwrap();
    let mut command = show(&["--drain", "3", "--no-tls-self-signed", "--listing"]);
    command.env("ENDWELL_CONFIG", file);
    command
        .env("ENDWELL_DRAIN", "2")
        .env("ENDWELL_GROWING", "fail");
    command
        .env("ENDWELL_LOG", "")
        .env("ENDWELL_LISTING", "false");
    let lines = shown(&mut command);
    let expected = [
        (
            format!("dir = \"{}/pub\"", folder.root()),
            format!("{file}:1:1"),
        ),
        (
            "listen = [\"[::1]:1\", \"[::1]:2\"]".into(),
            format!("{file}:4:1"),
        ),
        ("tls-self-signed = false".into(), "flag".into()),
        ("listing = true".into(), "flag".into()),
        ("growing = \"fail\"".into(), "ENDWELL_GROWING".into()),
        ("drain = \"3\"".into(), "flag".into()),
        ("log = \"-\"".into(), "default".into()),
    ];
    for line in expected {
        assert!(lines.contains(&line), "{line:?} in {lines:?}");
    }
    // Several values replace several values.
    let mut command = show(&["--config", file]);
    command.env("ENDWELL_LISTEN", " localhost:1  localhost:2 ");
    let line = (
        "listen = [\"localhost:1\", \"localhost:2\"]".into(),
        "ENDWELL_LISTEN".into(),
    );
    assert!(shown(&mut command).contains(&line));
    let mut command = show(&["--config", file, "--listen", "localhost:3"]);
    let line = ("listen = [\"localhost:3\"]".into(), "flag".into());
    assert!(shown(&mut command).contains(&line));
}

#[test]
fn what_is_shown_is_a_configuration() {
    let folder = Folder::new();
    let name = "a \"quoted\" \\ name\u{7f}";
    let first = run(&["config", "show", "--log", name, "--listen", "[::1]:0", name]).1;
    let file = folder.write("e.toml", &first);
    let second = run(&["config", "show", "-c", file.to_str().unwrap()]).1;
    let values = |text: &str| -> Vec<String> {
        let value = |line: &str| line.rsplit_once('#').unwrap().0.trim_end().to_owned();
        text.lines().map(value).collect()
    };
    let relative = second.replace(&format!("{}/", folder.root()), "");
    assert_eq!(values(&relative), values(&first));
    assert!(
        first.contains(r#"log = "a \"quoted\" \\ name\u007F""#),
        "{first}"
    );
}

/// `config check` and `serve` both say this of a file, line by line, and end with 2.
fn fails(text: impl AsRef<[u8]>, lines: &[&str]) {
    let folder = Folder::new();
    let file = folder.write("e.toml", text);
    let file = file.to_str().unwrap();
    let line = |line: &&str| format!("error: {}\n", line.replace("@:", &format!("{file}:")));
    let expected: String = lines.iter().map(line).collect();
    for args in [["config", "check", file], ["serve", "--config", file]] {
        let (exit, out, error) = run(&args);
        assert_eq!(error, expected);
        assert_eq!((exit, out.as_str()), (Some(2), ""));
    }
}

#[test]
fn all_that_is_wrong_with_a_file_is_said_with_its_place() {
    fails(
        "# a comment\n\
         lisen = [\"127.0.0.1:0\"]\n\
         drain = \"soon\"\n\
         \"ä\" = 1\n\
         log-format = \"xml\" # ß\n\
         tls-self-signed = \"yes\"\n\
         \tlisten = [\"127.0.0.1:0\", \"8080\", 3]\n\
         tls_cert = \"x\"\n\
         no-tls-self-signed = true\n\
         half-close = \"\"\n\
         dir = 1979-05-27\n\
         stall-timeout = -1\n\
         [growing]\n\
         [tls]\ncert = \"x\"\n",
        &[
            "@:2:1: there is no key 'lisen'; did you mean 'listen'?",
            "@:3:9: invalid value 'soon' for drain: write a duration such as 30s, 500ms, 2m or 0",
            "@:4:1: there is no key 'ä'",
            "@:5:14: invalid value 'xml' for log-format [possible values: combined, json]",
            "@:6:19: tls-self-signed takes true or false, not a string",
            "@:7:27: invalid value '8080' for listen: it has no port; write for example 127.0.0.1:8080",
            "@:7:35: listen takes a text in quotes or a list of them, not an integer",
            "@:8:1: there is no key 'tls_cert'; did you mean 'tls-cert'?",
            "@:9:1: there is no key 'no-tls-self-signed'; did you mean 'tls-self-signed'?",
            "@:10:14: invalid value '' for half-close [possible values: cancel, tolerate]",
            "@:11:7: dir takes a text in quotes, not a datetime",
            "@:12:17: invalid value '-1' for stall-timeout: write a duration such as 30s, 500ms, 2m or 0",
            &table("@:13:2", "growing"),
            &table("@:14:2", "tls"),
        ],
    );
}

/// What is said of a table.
fn table(place: &str, name: &str) -> String {
    format!(
        "{place}: '{name}' is a table, and this file is flat: it has no tables; write each setting as a line of its own, such as log-format = \"json\", above which no [{name}] stands"
    )
}

#[test]
fn a_table_is_said_to_be_one_however_it_is_written() {
    fails(
        "tls.cert = \"x\"\n\
         drain = {}\n\
         listen = [{ port = 1 }]\n\
         [serve]\ndir = \"x\"\n\
         [[server]]\ndir = \"x\"\n",
        &[
            &table("@:1:1", "tls"),
            &table("@:2:1", "drain"),
            &table("@:3:1", "listen"),
            &table("@:4:2", "serve"),
            &table("@:6:3", "server"),
        ],
    );
}

#[test]
fn what_is_no_toml_is_said_with_its_place() {
    fails(
        "dir = \".\n\nlisten = [\"a:1\"\n",
        &[
            "@:1:9: invalid basic string, expected `\"`",
            "@:3:16: unclosed array, expected `]`",
        ],
    );
    fails("drain = 1\ndrain = 2\n", &["@:2:1: duplicate key"]);
    fails(
        b"drain = 1\n# \xc3\xa4\xff\n",
        &["@:2:4: this is not UTF-8"],
    );
}

#[test]
fn what_does_not_belong_together_is_said_with_its_place() {
    fails(
        "\ntls-cert = \"c.pem\"\n",
        &["@:2:1: --tls-cert needs its key; add --tls-key FILE"],
    );
    fails(
        "tls-key = \"k.pem\"\n\
         command = [\"/a=date\", \"/a=date\"]\n\
         command-type = [\"/b=a/b\", \"/c=a/b\"]\n\
         auth = [\"ann:x\", \"bob\"]\n",
        &[
            "@:2:1: two commands answer at /a; give one of them another path",
            "@:3:1: no command answers at /b; add --command '/b=COMMAND'",
            "@:3:1: no command answers at /c; add --command '/c=COMMAND'",
            "@:4:1: the hash of the user ann is neither argon2 ($argon2id$...) nor bcrypt ($2b$...); a password itself cannot be used",
            "@:4:1: a user is written as NAME:HASH; make the hash with `htpasswd -nB NAME` or argon2",
            "@:1:1: --tls-key needs its certificate; add --tls-cert FILE",
        ],
    );
    fails(
        "listen = []\n",
        &["@:1:10: listen is an empty list; name a value, or leave it out"],
    );
}

#[test]
fn what_a_file_names_is_looked_at() {
    let folder = Folder::new();
    let file = folder.write("e.toml", "listen = \"127.0.0.1:0\"\ndir = \"none\"\n");
    let line = format!(
        "error: {}:2:1: there is no folder {}; make it, or name another: endwell serve DIR\n",
        file.display(),
        folder.path("none").display()
    );
    let file = file.to_str().unwrap();
    let (exit, _, error) = run(&["config", "check", file]);
    assert_eq!((exit, error.as_str()), (Some(2), line.as_str()));
    let (exit, _, error) = run(&["serve", "-c", file]);
    assert_eq!((exit, error.as_str()), (Some(1), line.as_str()));
    std::fs::create_dir(folder.path("none")).unwrap();
    let (exit, out, error) = run(&["config", "check", file]);
    assert_eq!((exit, out.as_str()), (Some(0), ""));
    assert_eq!(error, format!("{file}: 2 keys, no error\n"));
}

#[test]
fn all_that_a_file_names_in_vain_is_said() {
    let folder = Folder::new();
    let text = "dir = \"none\"\n\
         tls-cert = \"c\"\n\
         tls-key = \"k\"\n\
         command = [\"/a=no-such-a\", \"/b=no-such-b\"]\n\
         auth-file = \"u\"\n";
    let file = folder.write("e.toml", text);
    let at = |name: &str| folder.path(name).display().to_string();
    let gone = "No such file or directory (os error 2)";
    let lines = |dir: &str| {
        format!(
            "{dir}\
             4:1: /a: there is no program no-such-a; name one that is in PATH, or give its path\n\
             4:1: /b: there is no program no-such-b; name one that is in PATH, or give its path\n\
             5:1: cannot read {} ({gone}); give --auth-file a file of NAME:HASH lines\n\
             2:1: cannot read {} ({gone}); give --tls-cert a PEM file with a certificate\n\
             3:1: cannot read {} ({gone}); give --tls-key a PEM file with an unencrypted private key\n",
            at("u"),
            at("c"),
            at("k"),
        )
    };
    let expect = |dir: &str| {
        let expected = lines(dir);
        let lines = expected.lines();
        let lines = lines.map(|line| format!("error: {}:{line}\n", file.display()));
        let expected: String = lines.collect();
        let file = file.to_str().unwrap();
        for (args, code) in [(["config", "check", file], 2), (["serve", "-c", file], 1)] {
            let (exit, out, error) = run(&args);
            assert_eq!(error, expected, "{args:?}");
            assert_eq!((exit, out.as_str()), (Some(code), ""));
        }
    };
    expect(&format!(
        "1:1: there is no folder {}; make it, or name another: endwell serve DIR\n",
        at("none")
    ));
    std::fs::create_dir(folder.path("none")).unwrap();
    expect("");
}

#[test]
fn pages_that_a_file_names_are_looked_at() {
    let folder = Folder::new();
    let text = "listen = \"127.0.0.1:0\"\ndir = \".\"\nspa = \"app.html\"\n";
    let file = folder.write("e.toml", text);
    let line = format!(
        "error: {}:3:1: there is no page {}; make it, or give --spa another path below the folder\n",
        file.display(),
        folder.path("./app.html").display()
    );
    let file = file.to_str().unwrap();
    let (exit, _, error) = run(&["config", "check", file]);
    assert_eq!((exit, error.as_str()), (Some(2), line.as_str()));
    folder.write("app.html", "x");
    assert_eq!(run(&["config", "check", file]).0, Some(0));
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    let mut command = show(&[]);
    command
        .env("ENDWELL_DRAIN", "soon")
        .env("ENDWELL_TLS_SELF_SIGNED", "1");
    // Not ours: an orchestrator's name for a service of ours.
    command.env("ENDWELL_SERVICE_HOST", "10.0.0.1");
    let (exit, out, error) = run_command(&mut command);
    assert_eq!((exit, out.as_str()), (Some(2), ""));
    let expected = "\
        error: ENDWELL_TLS_SELF_SIGNED: invalid value '1' for tls-self-signed [possible values: true, false]\n\
        error: ENDWELL_DRAIN: invalid value 'soon' for drain: write a duration such as 30s, 500ms, 2m or 0\n";
    assert_eq!(error, expected);
}

#[test]
fn a_file_that_cannot_be_read_is_2() {
    for (file, error) in [
        ("/nowhere", "No such file or directory (os error 2)"),
        ("/dev/zero", "it is longer than 262144 octets"),
        ("/dev", "Is a directory (os error 21)"),
    ] {
        let line =
            |way_out| format!("error: cannot read the configuration {file} ({error}); {way_out}\n");
        for (args, way_out) in [
            (["serve", "-c", file], "give --config another file, or none"),
            (
                ["config", "check", file],
                "name another file: endwell config check FILE",
            ),
        ] {
            let (exit, _, said) = run(&args);
            assert_eq!((exit, said), (Some(2), line(way_out)));
        }
        for args in [&["serve"][..], &["config", "check"]] {
            let mut command = endwell();
            command.args(args).env("ENDWELL_CONFIG", file);
            let (exit, _, said) = run_command(&mut command);
            let way_out = "let ENDWELL_CONFIG name another file, or unset it";
            assert_eq!((exit, said), (Some(2), line(way_out)));
        }
    }
    let (exit, _, said) = run(&["config", "check"]);
    let line = "error: no file is named; write endwell config check FILE, or set ENDWELL_CONFIG\n";
    assert_eq!((exit, said.as_str()), (Some(2), line));
}

#[test]
fn the_example_has_every_key_with_its_default() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let read = |name: &str| std::fs::read_to_string(format!("{root}{name}")).unwrap();
    let (example, guide) = (read("packaging/endwell.toml"), read("docs/serve.md"));
    let is_key = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && *line != "#";
    let lines: Vec<_> = example.lines().filter(is_key).collect();
    for (key, (value, origin)) in Key::all().iter().zip(shown(&mut show(&[]))) {
        let name = key.name();
        match origin.as_str() {
            "default" => assert!(lines.contains(&format!("#{value}").as_str()), "{name}"),
            _ => assert!(
                lines
                    .iter()
                    .any(|line| line.starts_with(&format!("#{name} = "))),
                "{name}"
            ),
        }
        assert!(
            guide.contains(&format!("| `{name}` |")),
            "{name} in docs/serve.md"
        );
    }
    assert_eq!(lines.len(), Key::all().len());
    let all: String = lines
        .iter()
        .map(|line| format!("{}\n", &line[1..]))
        .collect();
    endwell_gateway::config::parse(&all, "endwell.toml".as_ref()).unwrap();
    let folder = Folder::new();
    let file = folder.write("e.toml", &example);
    assert_eq!(run(&["config", "check", file.to_str().unwrap()]).0, Some(0));
}

#[test]
fn a_name_with_line_breaks_stays_in_its_line() {
    fails("\"a\\nb\" = 1\n", &["@:1:1: there is no key 'a\\nb'"]);
}
