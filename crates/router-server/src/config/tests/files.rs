//! Which files are read, and which of them goes before which.

use tempfile::TempDir;

use super::*;

fn folder(files: Pairs<'_>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    folder
}

fn environment(variables: Pairs<'_>) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned()))).collect()
}

fn load(flags: &Flags, variables: Pairs<'_>) -> Result<(Config, Vec<Warning>), Problems> {
    super::super::load(flags, &environment(variables))
}

#[test]
fn flag_before_environment_before_env_file_before_configuration() {
    let folder = folder(&[
        ("router.yaml", "listen: 127.0.0.1:1\nlog: { level: error }\nproviders: { ollama: , lmstudio: }"),
        (".env", "ROUTER_PORT=2\nLLM_PROVIDER=lmstudio\nLOG_LEVEL=warn"),
        ("other.env", "export LLM_PROVIDER='echo'"),
    ]);
    let file = |name: &str| Some(folder.path().join(name));
    let beside = Flags { config: file("router.yaml"), ..Flags::default() };
    let named = Flags { env_file: file("other.env"), ..beside.clone() };
    let listening = Flags { listen: Some("127.0.0.1:4".into()), ..beside.clone() };
    let variables: Pairs<'_> = &[("ROUTER_PORT", "3"), ("LLM_PROVIDER", "ollama"), ("LOG_LEVEL", "debug")];
    let rows: [(&Flags, Pairs<'_>, u16, &str, &str); 5] = [
        (&beside, &[], 2, "lmstudio", "warn"),
        (&beside, variables, 3, "ollama", "debug"),
        (&listening, variables, 4, "ollama", "debug"),
        (&named, &[], 1, "echo", "error"),
        (&named, &[("LLM_PROVIDER", "lmstudio")], 1, "lmstudio", "error"),
    ];
    for (flags, variables, port, provider, level) in rows {
        let (config, _) = load(flags, variables).unwrap();
        let found = (config.listen.port(), &*config.default_provider, config.log.level.as_str());
        assert_eq!(found, (port, provider, level), "{flags:?} {variables:?}");
    }
}

#[test]
fn references_find_the_env_file_and_files_beside_the_configuration() {
    let text = "providers: { openai: { api_key: \"${KEY}\" }, anthropic: { api_key: \"${file:key}\" } }\nstate: data";
    let folder = folder(&[("router.yaml", text), (".env", "KEY=one"), ("key", "two\n")]);
    let flags = Flags { config: Some(folder.path().join("router.yaml")), ..Flags::default() };
    let (config, _) = load(&flags, &[]).unwrap();
    let keys: Vec<_> = config.providers.iter().filter_map(|provider| provider.api_key.clone()).collect();
    assert_eq!(keys, [Secret::new("one".to_owned()), Secret::new("two".to_owned())]);
    assert_eq!((config.state, config.file), (folder.path().join("data"), flags.config));
}

#[test]
fn the_usual_file_is_read_if_it_is_there_and_nothing_else_is() {
    let folder = folder(&[
        ("xdg/mcp-router/router.yaml", "listen: 127.0.0.1:7"),
        ("home/.config/mcp-router/router.yaml", "listen: 127.0.0.1:8"),
        ("home/router.yaml", "listen: 127.0.0.1:9"),
        ("home/.env", "ROUTER_PORT=10"),
    ]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let rows = [
        (vec![("XDG_CONFIG_HOME", path("xdg")), ("HOME", path("home"))], 7),
        (vec![("HOME", path("home"))], 8),
        (vec![("XDG_CONFIG_HOME", path("none")), ("HOME", path("home"))], 4100),
        (vec![("XDG_CONFIG_HOME", "relative".to_owned()), ("HOME", path("home"))], 8),
        (vec![], 4100),
    ];
    for (variables, port) in rows {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (config, _) = load(&Flags::default(), &variables).unwrap();
        assert_eq!((config.listen.port(), config.file.is_some()), (port, port != 4100), "{variables:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_all_the_rest() {
    let folder = folder(&[("bad.env", "A=1\nnonsense\n"), ("router.yaml", "listen: x")]);
    let rows = [
        (Flags { config: Some("no/such.yaml".into()), ..Flags::default() }, vec!["no/such.yaml: cannot be read: "]),
        (Flags { env_file: Some("no/such.env".into()), ..Flags::default() }, vec!["no/such.env: cannot be read: "]),
        (Flags { config: Some(folder.path().to_owned()), ..Flags::default() }, vec!["cannot be read: Is a directory"]),
        (
            Flags {
                config: Some(folder.path().join("router.yaml")),
                env_file: Some(folder.path().join("bad.env")),
                listen: Some("y".into()),
            },
            vec!["bad.env:2: there is no \"=\" in this line", "listen: \"x\" is not", "--listen: \"y\" is not"],
        ),
    ];
    for (flags, expected) in rows {
        let problems = load(&flags, &[]).map(|_| ()).unwrap_err();
        assert_eq!(problems.count(), expected.len(), "{problems}");
        for part in expected {
            assert!(problems.to_string().contains(part), "{problems}");
        }
    }
}
