//! `render`: a template file to a file, atomically: whole and with its mode, or not at all. Knows no template syntax.
//!
//! Facts: everything that `file` gives for the target, and `template` (Map with `keys`). They are raw: criteria must see
//! what really stands in the file (`none(values) matches "change-me"`), so `text`, `lines`, `values` and `data` may hold
//! secrets. Whoever records facts masks them first.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::blocking::{blocking, misrouted};
use super::file::{Eye, MAX_TEXT};
use super::{Act, ActError, Lent, Look, Observation, Request};
use crate::action::{Action, FileSpec, RenderSpec};
use crate::files;
use crate::outcome::Cause;

/// Permission bits of a target whose plan names none.
const DEFAULT_MODE: u32 = 0o644;

/// The `render` action.
#[derive(Clone, Copy, Debug, Default)]
pub struct Render;

impl Act for Render {
    fn look<'a>(&'a self, request: &'a Request, lent: &'a Lent) -> Look<'a> {
        Box::pin(async move {
            let Action::Render(spec) = &request.action else { return Err(misrouted(request, "render")) };
            let (workspace, template) = (request.workspace.clone(), spec.template.src.clone());
            let text = blocking(request, lent, move |quit| {
                let path = files::anywhere(&workspace, &template).map_err(|error| error.to_string())?;
                files::read_text(&path, &template, MAX_TEXT, quit).map_err(|error| error.to_string())
            })
            .await?;
            let rendered = (lent.render)(&text).map_err(|why| {
                ActError::new(Cause::ActionError, format!("template `{}`: {why}", spec.template.as_str()))
            })?;
            let eye = Eye::new(request, lent, &as_file(request, spec));
            let (workspace, spec) = (request.workspace.clone(), spec.clone());
            let (facts, notes) = blocking(request, lent, move |quit| {
                write(&workspace, &spec, rendered.as_bytes())?;
                eye.look(quit)
            })
            .await?;
            Ok(Observation { facts, notes, ..Observation::default() })
        })
    }
}

/// The look at the target after it was written.
fn as_file(request: &Request, spec: &RenderSpec) -> FileSpec {
    let template = request.wants.contains("template").then(|| spec.template.clone());
    FileSpec { paths: vec![spec.to.clone()], parse: None, template }
}

/// Replaces the target: a new file beside it gets the mode, then the content, reaches the disk and takes its name.
fn write(workspace: &Path, spec: &RenderSpec, content: &[u8]) -> Result<(), String> {
    let to = spec.to.as_str();
    if files::is_glob(to) {
        return Err(format!("`{to}` is a glob: name one file to render to"));
    }
    let target = files::writable(workspace, to).map_err(|error| error.to_string())?;
    if files::anywhere(workspace, spec.template.as_str()).is_ok_and(|template| template == target) {
        return Err(format!("`{to}` would replace its own template"));
    }
    let failed = |error: std::io::Error| format!("cannot write `{to}`: {}", files::plain(&error));
    let folder = target.parent().unwrap_or(workspace);
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(".render-").tempfile_in(folder).map_err(failed)?;
    let mode = Permissions::from_mode(spec.mode.unwrap_or(DEFAULT_MODE));
    file.as_file().set_permissions(mode).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::fixture;
    use crate::action::Text;
    use crate::facts::Value;
    use std::os::unix::fs::symlink;

    async fn render(dir: &Path, to: &str, mode: Option<u32>, wants: &[&str]) -> Result<Observation, String> {
        let spec = RenderSpec { template: Text::fixed(".env.template"), to: Text::fixed(to), mode };
        let mut request = fixture::request(Action::Render(Box::new(spec)), dir);
        request.wants = wants.iter().map(|&name| name.to_owned()).collect();
        let (lent, _stop) = fixture::lent();
        Render.look(&request, &lent).await.map_err(|error| error.detail)
    }

    fn workspace(template: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".env.template"), template).unwrap();
        dir
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[tokio::test(flavor = "current_thread")]
    async fn writes_whole_files_with_their_mode() {
        let dir = workspace("A=x\n");
        let target = dir.path().join("deep/.env");
        let seen = render(dir.path(), "deep/.env", Some(0o600), &["keys", "values", "template"]).await.unwrap().facts;
        assert_eq!(fs::read_to_string(&target).unwrap(), "A=X\n");
        assert_eq!(mode(&target), 0o600);
        assert_eq!(seen.values["values"], Value::List(vec![Value::text("X")]));
        assert!(matches!(&seen.values["template"], Value::Map(map) if map.contains_key("keys")));
        render(dir.path(), "deep/.env", None, &[]).await.unwrap();
        assert_eq!(mode(&target), 0o644);
        assert_eq!(fs::read_dir(dir.path().join("deep")).unwrap().count(), 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_broken_template_changes_nothing_and_says_where() {
        let dir = workspace("A={{ bad }}\n");
        fs::write(dir.path().join(".env"), "old").unwrap();
        let error = render(dir.path(), ".env", None, &[]).await.err().unwrap();
        assert_eq!(error, "template `.env.template`: line 1, column 4: `bad` is not defined");
        assert_eq!(fs::read_to_string(dir.path().join(".env")).unwrap(), "old");
        fs::remove_file(dir.path().join(".env.template")).unwrap();
        let error = render(dir.path(), ".env", None, &[]).await.err().unwrap();
        assert_eq!(error, "`.env.template` does not exist");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn never_writes_outside_or_through_a_link() {
        let (dir, out) = (workspace("A=x"), tempfile::tempdir().unwrap());
        let victim = out.path().join("victim");
        fs::write(&victim, "old").unwrap();
        symlink(&victim, dir.path().join("link")).unwrap();
        symlink(out.path(), dir.path().join("out")).unwrap();
        let absolute = victim.to_str().unwrap();
        for to in ["link", "out/victim", "out/new", "../x", absolute, ".env.template", "."] {
            assert!(render(dir.path(), to, None, &[]).await.is_err(), "{to}");
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "old");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
    }
}
