//! The shim: hands the command line to the library and returns its exit code.

fn main() -> std::process::ExitCode {
    runplan::app::main(std::env::args_os().collect())
}
