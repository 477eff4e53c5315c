//! The live view in a terminal multiplexer: a real screen, resized while fifty steps run, and left by Ctrl-C.

use std::path::PathBuf;
use std::process::Command;

use crate::pty::{left_behind, wait_for};
use crate::support::{RUNPLAN, Space, say, skip};

/// A server of its own with one window, in which a shell waits.
struct Tmux<'s> {
    space: &'s Space,
    socket: PathBuf,
}

impl<'s> Tmux<'s> {
    /// `None` where the program is missing.
    fn start(space: &'s Space, columns: u16, rows: u16) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            skip("tmux");
            return None;
        }
        let this = Self { space, socket: space.path().join("tmux.socket") };
        let shell = "env -i PATH=\"$PATH\" TERM=screen PS1='ready> ' sh -i";
        let (columns, rows) = (columns.to_string(), rows.to_string());
        this.ask(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows, shell]);
        this.shows("the prompt", |screen| screen.trim() == "ready>");
        Some(this)
    }

    #[track_caller]
    fn ask(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(args).current_dir(self.space.path()).env_remove("TMUX");
        let answer = command.output().expect("tmux starts");
        assert!(answer.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.ask(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// Waits until the screen is as it should be, and gives it.
    #[track_caller]
    fn shows(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        wait_for(what, || {
            screen = self.screen();
            wanted(&screen)
        });
        screen
    }

    fn resize(&self, columns: u16, rows: u16) {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Whether the cursor can be seen, and where it is in its row.
    fn cursor(&self) -> (bool, usize) {
        let told = self.ask(&["display-message", "-p", "#{cursor_flag} #{cursor_x}"]);
        let (flag, column) = told.trim().split_once(' ').expect("two words");
        (flag == "1", column.parse().expect("a number"))
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

/// Fifty steps that all run at once, say a long line and wait for ever.
fn crowd(first: &str) -> Space {
    let mut plan = String::from("[steps.gate]\nrun = 'read line < fifo'\n");
    for n in 0..50 {
        let say = format!("printf '%0300d\\n' {n}; echo > up.{n}; read line < fifo");
        plan += &format!("[steps.worker-{n:02}]\nrun = '''{first}{say}'''\n");
    }
    let space = Space::plan(&plan);
    let made = Command::new("mkfifo").arg(space.path().join("fifo")).status().expect("mkfifo");
    assert!(made.success());
    space
}

/// What is wrong with a screen of that size in the middle of a run: `None` for one frame, whole, nothing torn.
fn broken(screen: &str, columns: usize, rows: usize) -> Option<String> {
    let lines: Vec<&str> = screen.lines().filter(|line| !line.trim().is_empty()).collect();
    let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    let running: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("  ⏵ ")?.split(' ').next()).collect();
    let mut names = running.clone();
    names.sort_unstable();
    names.dedup();
    let most = (rows - 4).min((rows / 3).max(8));
    let torn = lines.iter().find(|line| line.chars().all(|c| c == '0' || c == '…'));
    if count("  ∑ ") != 1 || count("  +") != 1 {
        return Some("not one frame".to_owned());
    }
    if running.len() != most || names.len() != most {
        return Some(format!("{} rows, wanted {most}", running.len()));
    }
    if let Some(torn) = torn {
        return Some(format!("torn: {torn}"));
    }
    if let Some(wide) = lines.iter().find(|line| line.chars().count() > columns) {
        return Some(format!("too wide: {wide}"));
    }
    (!lines.last().is_some_and(|line| line.starts_with("  ∑ ⏵ 51"))).then(|| "the totals are not last".to_owned())
}

#[track_caller]
fn whole(tmux: &Tmux<'_>, columns: u16, rows: u16) -> String {
    let (columns, rows) = (usize::from(columns), usize::from(rows));
    let mut seen = None;
    wait_for(&format!("a whole frame at {columns}×{rows}"), || {
        let screen = tmux.screen();
        let fault = broken(&screen, columns, rows);
        let good = fault.is_none();
        seen = Some((screen, fault));
        good
    });
    seen.map(|(screen, _)| screen).unwrap_or_default()
}

#[test]
fn a_screen_that_changes_its_size_while_fifty_steps_run_stays_whole_and_ctrl_c_leaves_it_clean() {
    let space = crowd("");
    let Some(tmux) = Tmux::start(&space, 80, 24) else { return };
    tmux.keys(&[&format!("{RUNPLAN} -j 51 blueprint.toml"), "Enter"]);
    wait_for("everybody", || (0..50).all(|n| space.has(&format!("up.{n}"))));
    let sizes = [(80, 24), (200, 50), (60, 12), (20, 5), (200, 5), (35, 50), (80, 24)];
    for (index, (columns, rows)) in sizes.into_iter().enumerate() {
        if index > 0 {
            tmux.resize(columns, rows);
        }
        let screen = whole(&tmux, columns, rows);
        assert_eq!(screen.matches('∑').count(), 1, "{screen}");
    }
    tmux.keys(&["C-c"]);
    let screen = tmux.shows("the prompt", |screen| screen.trim_end().ends_with("\nready>"));
    assert!(screen.contains("INTERRUPTED  by SIGINT"), "{screen}");
    assert!(!screen.contains('∑') && !screen.contains('⏵') && !screen.contains("more running"), "{screen}");
    assert_eq!(tmux.cursor(), (true, "ready> ".len()), "{screen}");
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
    say(&format!("{} sizes of a screen in tmux, 51 steps running", sizes.len()));
}

#[test]
fn ctrl_c_twice_leaves_a_clean_screen_too() {
    let space = crowd("trap '' TERM; ");
    let Some(tmux) = Tmux::start(&space, 200, 50) else { return };
    tmux.keys(&[&format!("{RUNPLAN} -j 51 blueprint.toml"), "Enter"]);
    wait_for("everybody", || (0..50).all(|n| space.has(&format!("up.{n}"))));
    whole(&tmux, 200, 50);
    tmux.keys(&["C-c"]);
    tmux.shows("the first one", |screen| screen.contains("ending 51 steps (again: at once)"));
    tmux.keys(&["C-c"]);
    let screen = tmux.shows("the prompt", |screen| screen.trim_end().ends_with("\nready>"));
    assert!(screen.contains("INTERRUPTED  by SIGINT"), "{screen}");
    assert!(!screen.contains('∑') && !screen.contains('⏵'), "{screen}");
    assert_eq!(tmux.cursor(), (true, "ready> ".len()), "{screen}");
    assert_eq!(left_behind(&space, ""), Vec::<String>::new());
}
